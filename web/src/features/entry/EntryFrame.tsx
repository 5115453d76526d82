import { Center, Stack, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";
import { Logo } from "../../ui/Logo.tsx";

/** The frame of the two pages that need nobody signed in. */
export function EntryFrame({
  title,
  lead,
  children,
}: {
  title: string;
  lead?: ReactNode;
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Handrail`;
    if (document.activeElement === document.body) heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <Center component="main" mih="100dvh" p="md">
      <div style={{ width: "100%", maxWidth: 420 }}>
        <Stack gap="lg">
          <Logo size={34} />
          <div className="panel" style={{ padding: "1.5rem" }}>
            <Title order={1} ref={heading} tabIndex={-1}>
              {title}
            </Title>
            {lead && (
              <Text c="dimmed" mt={4} component="div">
                {lead}
              </Text>
            )}
            <div style={{ marginTop: "1.25rem" }}>{children}</div>
          </div>
        </Stack>
      </div>
    </Center>
  );
}
