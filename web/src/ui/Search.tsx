import { TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { type Ref, useEffect, useRef, useState } from "react";
import { SearchIcon } from "./icons.tsx";

interface SearchProps {
  label: string;
  placeholder: string;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
  ref?: Ref<HTMLInputElement>;
  maxLength?: number;
}

/** A field to search by; the list follows a moment after the last key. */
export function Search({ label, placeholder, value, onChange, ref, maxLength = 200 }: SearchProps) {
  const [text, setText] = useState(value ?? "");
  const said = useRef(value ?? "");
  useEffect(() => {
    // Another value than what was typed here came from elsewhere, such as a link.
    if ((value ?? "") !== said.current) setText(value ?? "");
    said.current = value ?? "";
  }, [value]);
  const say = useDebouncedCallback((v: string) => {
    said.current = v.trim();
    onChange(v.trim() || undefined);
  }, 200);
  return (
    <TextInput
      ref={ref}
      type="search"
      aria-label={label}
      placeholder={placeholder}
      leftSection={<SearchIcon size={16} />}
      value={text}
      onChange={(e) => {
        setText(e.currentTarget.value);
        say(e.currentTarget.value);
      }}
      style={{ flex: "3 1 16rem", maxWidth: "44rem" }}
      maxLength={maxLength}
    />
  );
}
