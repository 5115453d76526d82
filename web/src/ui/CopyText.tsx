import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { CheckIcon, CopyIcon } from "./icons.tsx";

/** A line to copy: a command, a token, an id. */
export function CopyText({ value, label, wrap }: { value: string; label: string; wrap?: boolean }) {
  return (
    <div className="copy-text">
      <code className="mono" style={wrap ? { whiteSpace: "pre-wrap", overflowWrap: "anywhere" } : undefined}>
        {value}
      </code>
      <CopyButton value={value} timeout={2500}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? "Copied" : label}>
            <ActionIcon
              variant="subtle"
              color={copied ? "rail" : "gray"}
              onClick={copy}
              aria-label={copied ? "Copied" : label}
            >
              {copied ? <CheckIcon /> : <CopyIcon />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </div>
  );
}
