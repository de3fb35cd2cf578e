import { requestGpu, type OptionalFeature } from "@winnow/gpu-backend";
import { afterEach, describe, expect, test, vi } from "vitest";

import type { Extent } from "./extent";
import { formatResult } from "./format-result";
import { measureGpu } from "./gpu-benchmark";
import type { GpuBenchmarkResult, Skipped } from "./result";

const TINY: Extent = {
  rows: [1, 8],
  prompt: 48,
  policies: ["full", "fastgen"],
  readings: 1,
  contexts: [64],
  tokens: 4,
};

function measureDemo(without: readonly OptionalFeature[]): Promise<GpuBenchmarkResult> {
  vi.spyOn(process, "emitWarning").mockReturnValue();
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const request = () => requestGpu({ allowSoftware: true, without });
  return measureGpu({ request, shapes: ["demo"], extent: () => TINY });
}

function demoOf({ shapes: [demo] }: GpuBenchmarkResult) {
  if (demo === undefined || "skipped" in demo) throw new Error("the demo model was left out");
  const operations = demo.operations.map(measured);
  const prompts = demo.prompts.map(measured);
  const tokens = demo.tokens.map(measured);
  return { demo, operations, prompts, tokens, rows: [...operations, ...prompts, ...tokens] };
}

function measured<Row extends object>(row: Row | Skipped): Row {
  if ("skipped" in row) throw new Error(`${row.name}: ${row.skipped}`);
  return row;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("a benchmark of the GPU", () => {
  test("measures the demo model kernel by kernel", async () => {
    const result = await measureDemo([]);
    const { demo, operations, prompts, tokens, rows } = demoOf(result);
    const { copy, product } = result.ceilings;
    // Rates have four digits.
    for (const row of rows) {
      expect(row.bytes).toBeGreaterThan(0);
      expect(row.gigabytesPerSecond).toBeGreaterThan(0);
      expect(row.dispatches).toBeGreaterThanOrEqual(1);
      expect(row.ofCopy / (row.gigabytesPerSecond / copy.gigabytesPerSecond)).toBeCloseTo(1, 2);
      expect(row.ofProduct * product.gigaflopsPerSecond).toBeCloseTo(row.gigaflopsPerSecond, 1);
    }
    expect(operations.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["qkv, 1 row", "head, 8 rows", "attend, 48 rows", "sample, top-p", "append, 64 slots"]),
    );
    // Of the demo model: 4 layers of 4 products and the head, in f16; keys and values of 4 layers, 64 slots, 4 heads of
    // 32, in f16; 8 query heads attend to them.
    const weights = 4 * (512 * 256 + 256 * 256 + 1024 * 256 + 256 * 512) + 1296 * 256;
    expect(tokens.find(({ name }) => name === "full cache of 64")).toMatchObject({
      context: 64,
      bytes: 2 * weights + 4 * 64 * 4 * 32 * 2 * 2,
      flops: 2 * weights + 4 * 64 * 8 * 32 * 4,
    });
    expect(demo.weightBytes).toBeGreaterThanOrEqual(2 * weights);

    for (const { kernels, gpuMilliseconds } of [...prompts, ...tokens]) {
      if (result.clock === "wall") continue;
      for (const { share } of kernels) {
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share).toBeLessThanOrEqual(1);
      }
      expect(sum(kernels.map(({ share }) => share))).toBeCloseTo(1, 2);
      const microseconds = sum(kernels.map((kernel) => kernel.microseconds));
      expect(microseconds / 1000 / (gpuMilliseconds ?? NaN)).toBeCloseTo(1, 2);
    }
    if (result.clock === "gpu") {
      // What the trace saw of the full cache is what the backend counted, in a run of its own.
      for (const { kernels, dispatches } of [...prompts, ...tokens].filter(({ name }) => name.startsWith("full,"))) {
        expect(sum(kernels.map((kernel) => kernel.dispatches))).toBe(dispatches);
      }
      expect(prompts.map(({ massTableOfAttention }) => massTableOfAttention)).toEqual([0, expect.any(Number)]);
      expect(prompts[1]?.massTableOfAttention).toBeGreaterThan(0);
    }
    const text = formatResult(result);
    for (const { name } of rows) expect(text).toContain(name);
    expect(text).toContain(result.adapter.name);
    expect(text).not.toMatch(/NaN|Infinity|undefined/);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  test("says when there are no timestamps, and goes by the wall's clock", async () => {
    const result = await measureDemo(["timestamp-query"]);
    expect(result.clock).toBe("wall");
    const { prompts, tokens, rows } = demoOf(result);
    for (const { kernels, gpuMilliseconds } of [...prompts, ...tokens]) {
      expect(kernels).toEqual([]);
      expect(gpuMilliseconds).toBeNull();
    }
    for (const row of rows) expect(row.gigabytesPerSecond).toBeGreaterThan(0);
    const text = formatResult(result);
    expect(text).toContain("the adapter offers no timestamps");
    expect(text).not.toMatch(/NaN|Infinity|undefined|null/);
  });

  test("leaves out what a software adapter has no use for, and says why", async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const request = () => requestGpu({ allowSoftware: true });
    using gpu = await request();
    if (gpu.adapter.software === null) return;
    const result = await measureGpu({ request, shapes: ["1b", "8b"], extent: () => TINY });
    expect(result.shapes).toEqual(
      ["Llama-3.2-1B", "Llama-3.1-8B"].map((name) => ({
        name,
        skipped: expect.stringContaining("computes in software") as unknown,
      })),
    );
    expect(formatResult(result)).toContain("Llama-3.1-8B: skipped, ");
  });
});
