import { Button, Group, Text } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { allDevices, type DeviceFilter, mostNamed } from "../../api/devices.ts";
import type { Device } from "../../api/types.ts";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";

interface MatchingOfferProps {
  filter: DeviceFilter;
  filtered: boolean;
  /** How many match. */
  total: number;
  /** How many of them the list has loaded. */
  listed: number;
  onChoose: (devices: Device[]) => void;
}

/**
 * Offers all devices that match once all that are loaded are chosen. They are fetched and
 * kept by their ids: a device that comes to match later is not among them, so that what is
 * done reaches those that were counted and no others.
 */
export function MatchingOffer({ filter, filtered, total, listed, onChoose }: MatchingOfferProps) {
  const [found, setFound] = useState<number | null>(null);
  const [error, setError] = useState<unknown>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const all = `all ${countWords(total, "device")}${filtered ? (total === 1 ? " that matches" : " that match") : ""}`;
  if (total > mostNamed) {
    const most = mostNamed.toLocaleString("en");
    return (
      <Text c="dimmed">
        These are the {listed.toLocaleString("en")} listed of {total.toLocaleString("en")}. One change or
        command takes {most} devices at most: narrow the search, or run the command on a group or label.
      </Text>
    );
  }
  const choose = async () => {
    const controller = new AbortController();
    running.current = controller;
    setError(null);
    setFound(0);
    try {
      const devices = await allDevices(filter, { signal: controller.signal, onSome: setFound });
      if (!controller.signal.aborted) onChoose(devices);
    } catch (e) {
      if (!controller.signal.aborted) setError(e);
    } finally {
      if (running.current === controller) setFound(null);
    }
  };
  return (
    <div>
      {found === null ? (
        <Button variant="light" size="compact-md" onClick={() => void choose()}>
          Choose {all}
        </Button>
      ) : (
        <Group gap="xs">
          <Text role="status">
            Choosing: {found.toLocaleString("en")} of {total.toLocaleString("en")}
          </Text>
          <Button
            variant="default"
            size="compact-md"
            onClick={() => {
              running.current?.abort();
              setFound(null);
            }}
          >
            Stop
          </Button>
        </Group>
      )}
      {error !== null && <ErrorPanel error={error} title="Not all could be chosen" />}
    </div>
  );
}
