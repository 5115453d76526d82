import { Group, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";

export interface PageProps {
  title: string;
  /** One line under the title: what this is, or the state of the thing shown. */
  lead?: ReactNode;
  /** Above the title: the way back. */
  above?: ReactNode;
  actions?: ReactNode;
  /** For text to read. */
  narrow?: boolean;
  /** As wide as the window: for tables of many columns. */
  wide?: boolean;
  /** Shown beside the title, such as a state. */
  mark?: ReactNode;
  children: ReactNode;
}

/**
 * A page with its one h1. The heading takes the focus when the page opens, so that a
 * screen reader says where one has come to and the next Tab goes into the page.
 */
export function Page({ title, lead, above, actions, narrow, wide, mark, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    document.title = `${title} · Handrail`;
  }, [title]);
  return (
    <div className={narrow ? "page-narrow" : wide ? "page-wide" : "page"}>
      {above}
      <Group justify="space-between" align="flex-start" gap="sm" mb="md" wrap="wrap">
        <div style={{ minWidth: 0, flex: "1 1 16rem" }}>
          <Group gap="sm" align="center">
            <Title order={1} ref={heading} tabIndex={-1} className="wrap-anywhere">
              {title}
            </Title>
            {mark}
          </Group>
          {lead && (
            <Text c="dimmed" mt={2} component="div">
              {lead}
            </Text>
          )}
        </div>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </div>
  );
}
