import { ActionIcon, Button, Checkbox, Group, Popover, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useCallback, useEffect, useState } from "react";
import { useMe } from "../../api/me.ts";
import { ownOpenQuery } from "../../api/sessions.ts";
import type { Capability, Device } from "../../api/types.ts";
import { useViewing } from "../../api/viewing.tsx";
import { capabilityWords } from "../../ui/capabilities.ts";
import { DownIcon } from "../../ui/icons.tsx";
import { notifyFailed } from "../../ui/notify.ts";

type Target = Pick<Device, "id" | "name" | "state" | "capabilities">;

/** What a plain click asks for: enough to help, nothing that needs a second thought. */
function usualCapabilities(allowed: readonly string[]): Capability[] {
  return (["view", "control", "clipboard"] as const).filter((c) => allowed.includes(c));
}

/** What "Diagnose" asks for: the tools, and no screen. */
function toolCapabilities(allowed: readonly string[]): Capability[] {
  return (["diagnostics", "root"] as const).filter((c) => allowed.includes(c));
}

/**
 * Connects to a device's screen. One click is enough; reason and capabilities are a
 * second, smaller button away.
 */
export function ConnectButton({ device, compact }: { device: Target; compact?: boolean }) {
  const mayControl = device.capabilities.includes("control");
  const { connect, connectWith, connecting, prepare } = useConnect(device);
  // On a device's own page the code is fetched at once; in a list, when the pointer comes near.
  useEffect(() => {
    if (!compact) prepare();
  }, [compact, prepare]);
  const verb = mayControl ? "Connect" : "View";
  const disabled = device.state !== "online";
  if (compact) {
    return (
      <Button
        size="compact-sm"
        variant="light"
        loading={connecting}
        onPointerEnter={prepare}
        onFocus={prepare}
        onClick={connect}
        aria-label={`${verb}: ${device.name}`}
      >
        {verb}
      </Button>
    );
  }
  return (
    <Button.Group>
      <Button
        loading={connecting}
        disabled={disabled}
        onPointerEnter={prepare}
        onFocus={prepare}
        onClick={connect}
        style={{ minWidth: "7.5rem" }}
      >
        {verb}
      </Button>
      <ConnectOptions
        disabled={disabled}
        allowed={device.capabilities}
        verb={verb}
        connecting={connecting}
        connect={connectWith}
      />
    </Button.Group>
  );
}

/** Opens the tools of a device without its screen: nobody's desktop is looked at. */
export function DiagnoseButton({ device }: { device: Target }) {
  const { diagnose, connecting, prepare } = useConnect(device);
  return (
    <Button
      variant="default"
      loading={connecting}
      disabled={device.state !== "online"}
      onPointerEnter={prepare}
      onFocus={prepare}
      onClick={diagnose}
      title="Live figures, processes, services and logs, without the screen"
    >
      Diagnose
    </Button>
  );
}

interface OptionsProps {
  disabled: boolean;
  allowed: readonly string[];
  verb: string;
  connecting: boolean;
  connect: (reason: string, capabilities: Capability[]) => void;
}

const choices: Capability[] = ["control", "clipboard", "files", "terminal", "root", "diagnostics", "power"];

function ConnectOptions({ disabled, allowed, verb, connecting, connect }: OptionsProps) {
  const [opened, { toggle, close }] = useDisclosure(false);
  const [reason, setReason] = useState("");
  const [wanted, setWanted] = useState<Capability[]>(usualCapabilities(allowed));
  return (
    <Popover
      opened={opened}
      onChange={(o) => !o && close()}
      position="bottom-end"
      width={320}
      trapFocus
      withArrow
    >
      <Popover.Target>
        <ActionIcon
          variant="filled"
          size={36}
          disabled={disabled}
          onClick={toggle}
          aria-label="Connect with a reason or other rights"
          style={{
            borderStartStartRadius: 0,
            borderEndStartRadius: 0,
            borderLeft: "1px solid rgb(255 255 255 / 35%)",
          }}
        >
          <DownIcon size={16} />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown>
        <form
          onSubmit={(e) => {
            e.preventDefault();
            close();
            connect(reason.trim(), wanted);
          }}
        >
          <Stack gap="sm">
            <TextInput
              label="Reason"
              description="The person at the device reads it; the record keeps it"
              placeholder="Printer does not print"
              maxLength={500}
              value={reason}
              onChange={(e) => setReason(e.currentTarget.value)}
              data-autofocus
            />
            {allowed.includes("control") ? (
              <Checkbox.Group
                label="Besides the screen, ask for"
                value={wanted}
                onChange={(v) => setWanted(["view", ...(v as Capability[]).filter((c) => c !== "view")])}
              >
                <Stack gap={6} mt={6}>
                  {choices
                    .filter((c) => allowed.includes(c))
                    .map((c) => (
                      <Checkbox
                        key={c}
                        value={c}
                        size="xs"
                        label={capabilityWords[c].name}
                        description={capabilityWords[c].means}
                      />
                    ))}
                </Stack>
              </Checkbox.Group>
            ) : (
              <Text size="sm" c="dimmed">
                Your role may look, not control.
              </Text>
            )}
            <Group justify="flex-end">
              <Button type="submit" loading={connecting}>
                {verb}
              </Button>
            </Group>
          </Stack>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}

/** Starts a session at the click: request, viewer and page go on side by side. */
function useConnect(device: Target) {
  const me = useMe();
  const client = useQueryClient();
  const router = useRouter();
  const viewing = useViewing();
  const [connecting, setConnecting] = useState(false);
  const prepare = useCallback(() => {
    viewing.prepare();
    void router.preloadRoute({ to: "/sessions/$sessionId/live", params: { sessionId: "next" } });
  }, [viewing, router]);
  const show = (begin: () => Promise<string>, tool?: string) => {
    if (connecting) return;
    setConnecting(true);
    begin()
      .then((sessionId) =>
        router.navigate({ to: "/sessions/$sessionId/live", params: { sessionId }, search: { tool } }),
      )
      .catch((error: unknown) => notifyFailed(`No session with ${device.name}`, error))
      .finally(() => setConnecting(false));
  };
  const connectWith = (reason: string, capabilities: Capability[]) =>
    show(() => viewing.start({ device_id: device.id, reason, capabilities }, device.name));
  // Leaving a screen does not end its session: a plain click goes back into one's own.
  const back = async (needs: Capability, capabilities: Capability[]) => {
    const query = ownOpenQuery(device.id, me.id);
    // What the page shows is fresh until the gateway says that sessions changed.
    const all = await client.fetchQuery({ ...query, staleTime: Number.POSITIVE_INFINITY });
    const own = all.find((s) => s.asked.includes(needs));
    if (own) return viewing.rejoin(own.id, device.name);
    return viewing.start({ device_id: device.id, reason: "", capabilities }, device.name);
  };
  const connect = () => show(() => back("view", usualCapabilities(device.capabilities)));
  const diagnose = () => show(() => back("diagnostics", toolCapabilities(device.capabilities)), "findings");
  return { connect, connectWith, diagnose, connecting, prepare };
}
