import { Textarea } from "@mantine/core";
import { useState } from "react";
import type { PolicySetting } from "../../api/types.ts";

/** The settings as one JSON object of setting id to value; it counts once it can be read. */
export function JsonEditor({
  settings,
  onChange,
  readOnly,
}: {
  settings: readonly PolicySetting[];
  onChange: (settings: PolicySetting[]) => void;
  readOnly: boolean;
}) {
  const [text, setText] = useState(() =>
    JSON.stringify(Object.fromEntries(settings.map((s) => [s.id, s.value])), null, 2),
  );
  const [error, setError] = useState("");
  return (
    <Textarea
      label="Settings"
      description='An object of setting id to value. {"secret": true} keeps a secret as it is.'
      value={text}
      error={error}
      readOnly={readOnly}
      autosize
      minRows={16}
      maxRows={40}
      spellCheck={false}
      styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
      onChange={(e) => {
        const typed = e.currentTarget.value;
        setText(typed);
        try {
          const read: unknown = JSON.parse(typed);
          if (typeof read !== "object" || read === null || Array.isArray(read)) {
            setError("An object is wanted: setting ids and their values.");
            return;
          }
          setError("");
          onChange(Object.entries(read).map(([id, value]) => ({ id, value: value as unknown })));
        } catch (cause) {
          setError(`Not JSON yet: ${cause instanceof Error ? cause.message : String(cause)}`);
        }
      }}
    />
  );
}
