import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";

import { DEMO, winnow } from "./testing/winnow";

const folder = mkdtempSync(join(tmpdir(), "winnow-trace-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const chromeTrace = z.object({
  traceEvents: z.array(
    z.object({
      name: z.string(),
      cat: z.literal("gpu"),
      ph: z.literal("X"),
      ts: z.number().nonnegative(),
      dur: z.number().nonnegative(),
      pid: z.int(),
      tid: z.int(),
    }),
  ),
});

const result = z.object({
  tokens: z.array(z.int()),
  trace: z.object({
    ms: z.number(),
    kernels: z.array(
      z.object({
        kernel: z.string(),
        dispatches: z.int().positive(),
        ms: z.number().nonnegative(),
        share: z.number().min(0).max(1),
      }),
    ),
  }),
});

const HELLO = ["run", "--model", DEMO, "--prompt", "hello", "--max-tokens", "4", "--ignore-eos"];

/** In microseconds, as the file has it; sums of fractions are off by less. */
const NANOSECOND = 1e-3;

function events(path: string): z.infer<typeof chromeTrace>["traceEvents"] {
  return chromeTrace.parse(JSON.parse(readFileSync(path, "utf8"))).traceEvents;
}

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("run --trace on WebGPU", () => {
  test("writes every dispatch, and --json their sums by kernel", async () => {
    const path = join(folder, "trace.json");
    const { code, stdout } = await winnow([...HELLO, "--backend", "webgpu", "--trace", path, "--json"]);
    expect(code).toBe(0);
    const { tokens, trace } = result.parse(JSON.parse(stdout));
    expect(tokens).toHaveLength(4);
    const all = events(path);
    for (const { kernel, dispatches, ms, share } of trace.kernels) {
      const own = all.filter(({ name }) => name === kernel);
      expect(own).toHaveLength(dispatches);
      const sum = own.reduce((total, { dur }) => total + dur, 0) / 1000;
      expect(ms).toBeCloseTo(sum, 6);
      expect(share).toBeCloseTo(sum / trace.ms, 6);
    }
    expect(all).toHaveLength(trace.kernels.reduce((sum, { dispatches }) => sum + dispatches, 0));
    const known = trace.kernels.map(({ kernel }) => kernel);
    for (const kernel of ["embed", "matmul.few", "append.few", "attend.split", "attend.merge", "sample.greedy"]) {
      expect(known).toContain(kernel);
    }
    // One answer of four tokens reads three of them.
    expect(all.filter(({ name }) => name === "sample.greedy")).toHaveLength(4);
    expect(all.filter(({ name }) => name === "append.few")).toHaveLength(3 * 4);
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("has its events in order, and on each track one after another", async () => {
    const path = join(folder, "order.json");
    const { code } = await winnow([...HELLO, "--backend", "webgpu", "--trace", path]);
    expect(code).toBe(0);
    const all = events(path);
    expect(all.map(({ ts }) => ts)).toEqual(all.map(({ ts }) => ts).sort((a, b) => a - b));
    for (const track of new Set(all.map(({ tid }) => tid))) {
      const own = all.filter(({ tid }) => tid === track);
      const overlaps = own.filter(({ ts }, i) => {
        const before = own[i - 1];
        return before !== undefined && ts < before.ts + before.dur - NANOSECOND;
      });
      expect(overlaps).toEqual([]);
    }
  });

  test("prints a table for people", async () => {
    const path = join(folder, "table.json");
    const { code, stderr } = await winnow([...HELLO, "--backend", "webgpu", "--trace", path]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^kernel +dispatches +total ms +mean µs +%$/m);
    expect(stderr).toMatch(/^matmul\.few +\d+ +\d+\.\d+ +\d+\.\d+ +\d+\.\d$/m);
    expect(events(path).length).toBeGreaterThan(50);
  });

  test("keeps what there is when Ctrl-C ends the answer", async () => {
    const path = join(folder, "ended.json");
    const args = ["run", "--model", DEMO, "--prompt", "hello", "--max-tokens", "900", "--ignore-eos"];
    const { code } = await winnow([...args, "--backend", "webgpu", "--trace", path], {
      started: (child) => child.stdout?.once("data", () => child.kill("SIGINT")),
    });
    expect(code).toBe(130);
    expect(events(path).length).toBeGreaterThan(10);
  });

  test("keeps what there is when the answer fails", async () => {
    const path = join(folder, "failed.json");
    const plugin = join(folder, "failing.mjs");
    const text = 'kind: "statistic", name: "odd", needs: ["mass"], compute() { throw new Error("oh no"); }';
    writeFileSync(plugin, `export default { ${text} };`);
    const failing = ["--plugin", plugin, "--policy", "top(odd, 50%)"];
    const { code, stderr } = await winnow([...HELLO, ...failing, "--backend", "webgpu", "--trace", path]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/oh no/);
    expect(events(path).map(({ name }) => name)).toContain("embed");
  });

  test("follows a link to its file", async () => {
    const target = join(folder, "target.json");
    const link = join(folder, "link.json");
    writeFileSync(target, "old");
    symlinkSync(target, link);
    const { code } = await winnow([...HELLO, "--backend", "webgpu", "--trace", link]);
    expect(code).toBe(0);
    expect(realpathSync(link)).toBe(realpathSync(target));
    expect(events(target).length).toBeGreaterThan(10);
  });
});

describe("run --trace is refused before anything is computed", () => {
  test.each([
    ["on the CPU", ["--backend", "cpu", "--trace", join(folder, "t.json")], /on the CPU; add --backend webgpu/],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await winnow([...HELLO, ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });

  const isFolder = join(folder, "folder");
  mkdirSync(isFolder);
  const plain = join(folder, "plain");
  writeFileSync(plain, "kept");
  describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("for its file:", () => {
    test.each([
      ["in a folder that is not there", join(folder, "none", "t.json"), /none.*name a file in a folder/],
      ["in a file", join(plain, "t.json"), /plain.*name a file in a folder/],
      ["a folder", isFolder, /it is a folder/],
      ["without a name", "", /its name is empty/],
    ])("%s", async (_, path, message) => {
      const { code, stdout, stderr } = await winnow([...HELLO, "--backend", "webgpu", "--trace", path]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(message);
      expect(readFileSync(plain, "utf8")).toBe("kept");
    });

    test.skipIf(process.platform === "win32")("a pipe, which stays one", async () => {
      const pipe = join(folder, "pipe");
      execFileSync("mkfifo", [pipe]);
      const { code, stdout, stderr } = await winnow([...HELLO, "--backend", "webgpu", "--trace", pipe]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/it is a pipe or a device/);
      expect(lstatSync(pipe).isFIFO()).toBe(true);
    });
  });
});
