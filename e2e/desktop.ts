/** The demo device's desktop, seen from the device's side. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { eventually, Program, run } from "./program.ts";
import type { Demo } from "./stack.ts";

/** The environment that puts a program on the demo's screen. */
export async function onScreen(demo: Demo): Promise<Record<string, string>> {
  const display = (await readFile(join(demo.data, "demo/display"), "utf8")).trim();
  return { DISPLAY: display, XAUTHORITY: join(demo.data, "demo/home/.Xauthority") };
}

/** Builds the test program once and returns its path. */
export async function buildXapp(): Promise<string> {
  const path = resolve(import.meta.dirname, "../bin/handrail-xapp");
  await run(["go", "build", "-o", path, "./e2e/xapp"]);
  return path;
}

/** Starts the test program on the demo's screen and waits until its window is there. */
export async function startXapp(demo: Demo, ...args: string[]): Promise<Program> {
  const p = new Program([await buildXapp(), ...args], await onScreen(demo));
  await p.says(/"event":"ready"/);
  return p;
}

/** Waits until the window whose title matches has the keyboard: a window manager moves it a moment after a click. */
export async function awaitFocus(demo: Demo, title: RegExp): Promise<void> {
  const env = await onScreen(demo);
  await eventually(`the keyboard in ${title}`, async () => {
    const name = await run(["xdotool", "getactivewindow", "getwindowname"], env).catch(() => "");
    return title.test(name);
  });
}

/** The processes of a program that were started below the demo, by name, and by words of their command line. */
export async function pidsOf(demo: Demo, name: string, words = ""): Promise<number[]> {
  const list = await run(["ps", "-eo", "pid=,ppid=,comm=,args="]);
  const rows = list
    .trim()
    .split("\n")
    .map((l) => l.trim().split(/\s+/))
    .map(([pid = "", ppid = "", comm = "", ...args]) => ({
      pid: +pid,
      ppid: +ppid,
      comm,
      args: args.join(" "),
    }));
  const below = (pid: number): boolean => {
    const row = rows.find((r) => r.pid === pid);
    return row !== undefined && (row.ppid === demo.program.child.pid || below(row.ppid));
  };
  return rows
    .filter((r) => (r.comm === name.slice(0, 15) || r.args.includes(`/${name} `)) && r.args.includes(words))
    .filter((r) => below(r.pid))
    .map((r) => r.pid);
}

/** CPU seconds a process and its threads have used: fields 14 and 15 of /proc/pid/stat, in ticks of 10 ms. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory of a process in MiB. */
export async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
