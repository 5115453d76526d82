import { execFile } from "node:child_process";
import { lstat, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scratch } from "./program.ts";

/** The agent's packages: built, installed into the root of a system that does not run, removed again. */

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");

let dir: string;
let remove: () => Promise<void>;
let packages: string[];

beforeAll(async () => {
  ({ dir, remove } = await scratch());
  await run(join(root, "agent/packaging/build"), ["v1.2.3", join(dir, "out")]);
  packages = (await readdir(join(dir, "out"))).map((name) => join(dir, "out", name));
}, 300_000);

afterAll(() => remove?.());

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** What is installed, and that the program runs. */
async function installed(at: string): Promise<void> {
  const { stdout } = await run(join(at, "usr/bin/handrail-agent"), ["version"]);
  expect(stdout).toContain("handrail-agent");
  expect(await exists(join(at, "usr/bin/handrail-companion"))).toBe(true);
  const unit = await readFile(join(at, "usr/lib/systemd/system/handrail-agent.service"), "utf8");
  expect(unit).toContain("ExecStart=/usr/bin/handrail-agent run");
  // A root without systemd's own targets is none that a service could start in.
  await run("sh", ["-c", 'cp -n /usr/lib/systemd/system/*.target "$1/usr/lib/systemd/system/"', "sh", at]);
  await run("systemd-analyze", ["verify", "--root", at, "handrail-agent.service"]);
}

/** What is left below a root of what a package brought. */
async function left(at: string): Promise<string[]> {
  const paths = [
    "usr/bin/handrail-agent",
    "usr/bin/handrail-companion",
    "usr/lib/systemd/system/handrail-agent.service",
    "etc/systemd/system/multi-user.target.wants/handrail-agent.service",
    "var/lib/handrail-agent",
  ];
  const there = await Promise.all(paths.map((p) => exists(join(at, p))));
  return paths.filter((_, i) => there[i]);
}

test("the Debian package is installed, removed and purged", async () => {
  const at = join(dir, "debian");
  await mkdir(join(at, "var/lib/dpkg/info"), { recursive: true });
  await mkdir(join(at, "var/lib/dpkg/updates"));
  await writeFile(join(at, "var/lib/dpkg/status"), "");
  const deb = packages.find((p) => p.endsWith(".deb")) as string;
  const { stdout: fields } = await run("dpkg-deb", ["--field", deb, "Version", "Depends"]);
  expect(fields).toContain("Version: 1.2.3");
  expect(fields).toMatch(/Depends: .*libc6.*libvpx/);
  // Its scripts run here and are told of the root; what it depends on is this system's.
  const dpkg = (...args: string[]) =>
    run("dpkg", [`--root=${at}`, "--force-script-chrootless,depends,not-root", "--log=/dev/null", ...args]);
  await dpkg("--install", deb);
  await installed(at);
  expect(await exists(join(at, "etc/systemd/system/multi-user.target.wants/handrail-agent.service"))).toBe(
    true,
  );
  await mkdir(join(at, "var/lib/handrail-agent"), { recursive: true });
  await writeFile(join(at, "var/lib/handrail-agent/identity"), "x");
  await dpkg("--install", deb); // as an update does
  await dpkg("--remove", "handrail-agent");
  expect(await left(at)).toEqual(["var/lib/handrail-agent"]); // the device's identity
  await dpkg("--purge", "handrail-agent");
  expect(await left(at)).toEqual([]);
});

test("the RPM is installed and erased", async () => {
  const at = join(dir, "rpm");
  await mkdir(at);
  const file = packages.find((p) => p.endsWith(".rpm")) as string;
  const { stdout: needs } = await run("rpm", ["-qp", "--requires", file]);
  expect(needs).toContain("libvpx.so");
  await run("rpm", ["--root", at, "--initdb"]);
  await run("rpm", ["--root", at, "--install", "--nodeps", "--noscripts", "--nosignature", file]);
  await installed(at);
  await run("rpm", ["--root", at, "--erase", "--noscripts", "handrail-agent"]);
  expect(await left(at)).toEqual([]);
});
