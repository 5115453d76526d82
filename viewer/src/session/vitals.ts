/** What the tool "vitals" says: the device's figures, second by second. */
import { decoderOf, type Message } from "./envelope.ts";
import { type Fields, integer, isFields, list, number, numbers, string, strings } from "./fields.ts";
import type { Vitals, VitalsParts } from "./wire.gen.ts";

/** What comes over the channel of "vitals". */
export type VitalsMessage = Message<"vitals.parts" | "vitals">;

const mostParts = 256;

function vitalsParts(b: Fields): VitalsParts {
  return {
    cores: integer(b, "cores", 0, 4096),
    memory_bytes: number(b, "memory_bytes"),
    swap_bytes: number(b, "swap_bytes"),
    disks: strings(b, "disks", mostParts, 128),
    volumes: list(b, "volumes", mostParts).map((v) => ({
      mount: string(v, "mount", 4096),
      bytes: number(v, "bytes"),
    })),
    networks: strings(b, "networks", mostParts, 128),
    sensors: strings(b, "sensors", mostParts, 128),
    pressure: b.pressure === true,
    battery: b.battery === true,
  };
}

function vitals(b: Fields): Vitals {
  const stall = isFields(b.pressure) ? b.pressure : null;
  const battery = isFields(b.battery) ? b.battery : null;
  return {
    time_ms: number(b, "time_ms"),
    cores: numbers(b, "cores", 4096),
    load: numbers(b, "load", 3),
    memory: number(b, "memory"),
    swap: number(b, "swap"),
    ...(stall && {
      pressure: { cpu: number(stall, "cpu"), memory: number(stall, "memory"), io: number(stall, "io") },
    }),
    disks: list(b, "disks", mostParts).map((d) => ({
      read: number(d, "read"),
      write: number(d, "write"),
      busy: number(d, "busy"),
      wait: number(d, "wait"),
    })),
    volumes: numbers(b, "volumes", mostParts),
    networks: list(b, "networks", mostParts).map((n) => ({ in: number(n, "in"), out: number(n, "out") })),
    sensors: numbers(b, "sensors", mostParts),
    ...(battery && {
      battery: { charge: number(battery, "charge"), charging: battery.charging === true },
    }),
  };
}

/** Reads a message of the tool; see decoderOf. */
export const decodeVitals = decoderOf<VitalsMessage["type"]>({ "vitals.parts": vitalsParts, vitals });
