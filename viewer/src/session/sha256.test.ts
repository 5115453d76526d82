import { expect, test } from "vitest";
import { Sha256 } from "./sha256.ts";
import { utf8 } from "./utf8.ts";

interface Subtle {
  digest(name: string, bytes: Uint8Array): Promise<ArrayBuffer>;
}
const { crypto } = globalThis as unknown as { crypto: { subtle: Subtle } };

async function known(bytes: Uint8Array): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(sum, (b) => b.toString(16).padStart(2, "0")).join("");
}

test("the sum of the standard's example", () => {
  const s = new Sha256();
  s.update(utf8("abc"));
  expect(s.hex()).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

test("the same as the platform's at every length around a block, however it is cut", async () => {
  for (const n of [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 70_001]) {
    const bytes = Uint8Array.from({ length: n }, (_, i) => (i * 7 + (i >> 8)) & 255);
    const want = await known(bytes);
    for (const piece of [1, 13, 64, 57_344]) {
      const s = new Sha256();
      for (let at = 0; at < n; at += piece) s.update(bytes.subarray(at, at + piece));
      expect(s.hex(), `${n} bytes by ${piece}`).toBe(want);
    }
  }
});
