import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
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
});

describe("run --trace is refused before anything is computed", () => {
  test.each([
    ["on the CPU", ["--backend", "cpu", "--trace", join(folder, "t.json")], /on the CPU; add --backend webgpu/],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await winnow([...HELLO, ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });

  const unwritable = join(folder, "folder");
  mkdirSync(unwritable);
  test.skipIf(process.env.WINNOW_NO_GPU !== undefined).each([
    ["into a folder that is not there", join(folder, "none", "t.json"), /none.*folder that exists/],
    ["over a folder", unwritable, /is a folder/],
  ])("%s", async (_, path, message) => {
    const { code, stdout, stderr } = await winnow([...HELLO, "--backend", "webgpu", "--trace", path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });
});
