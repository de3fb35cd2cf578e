import { requestGpu } from "@winnow/gpu-backend";
import { describe, expect, test, vi } from "vitest";

import { formatResult } from "./format-result";
import { measureGpu } from "./gpu-benchmark";

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("a benchmark of the GPU", () => {
  test("measures the demo model, and says what it leaves out", async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const result = await measureGpu(await requestGpu({ allowSoftware: true }));
    vi.restoreAllMocks();

    const [demo, ...others] = result.shapes;
    if (demo === undefined || "skipped" in demo) throw new Error("the demo model was left out");
    if (result.adapter.software !== null) {
      expect(others).toEqual(
        ["Llama-3.2-1B", "Llama-3.1-8B"].map((name) => ({
          name,
          skipped: expect.stringContaining("computes in software") as unknown,
        })),
      );
    }
    const { layers, tokens, operations } = demo;
    const measured = [...operations, ...tokens].map((row) => {
      if ("skipped" in row) throw new Error(`${row.name}: ${row.skipped}`);
      return row;
    });
    for (const row of measured) {
      expect(row.gigabytesPerSecond).toBeGreaterThan(0);
      expect(row.ofCopy).toBeCloseTo(row.gigabytesPerSecond / result.ceilings.copy.gigabytesPerSecond, 3);
      expect(row.ofProduct).toBeCloseTo(row.gigaflopsPerSecond / result.ceilings.product.gigaflopsPerSecond, 3);
    }
    for (const row of tokens) {
      if ("skipped" in row) continue;
      expect(row.dispatches).toBeLessThan(9 * layers + 8);
      if (result.clock === "wall") continue;
      const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
      expect(sum(row.kernels.map(({ share }) => share))).toBeCloseTo(1, 2);
      expect(sum(row.kernels.map(({ microseconds }) => microseconds)) / 1000).toBeCloseTo(
        row.gpuMilliseconds ?? NaN,
        1,
      );
    }
    const text = formatResult(result);
    for (const { name } of [...measured, ...result.shapes]) expect(text).toContain(name);
    expect(text).toContain(result.adapter.name);
    expect(text).not.toMatch(/NaN|Infinity|undefined/);
  });
});
