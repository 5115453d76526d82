// Writes a .br and a .gz beside every text file of the build, so that the gateway sends
// compressed bytes without compressing anything itself.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const compressible = /\.(js|css|html|svg|json|txt|webmanifest)$/;
const smallest = 1024; // bytes; below this a response is one packet either way

const dir = process.argv[2] ?? "dist";
const entries = await readdir(dir, { recursive: true, withFileTypes: true });
let plain = 0;
let packed = 0;
for (const entry of entries) {
  if (!entry.isFile() || !compressible.test(entry.name)) continue;
  const file = join(entry.parentPath, entry.name);
  const bytes = await readFile(file);
  if (bytes.length < smallest) continue;
  const br = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  await writeFile(`${file}.br`, br);
  await writeFile(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  plain += bytes.length;
  packed += br.length;
}
console.log(`precompressed ${Math.round(plain / 1000)} kB to ${Math.round(packed / 1000)} kB (br)`);
