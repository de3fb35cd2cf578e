import { createWebGpuBackend, requestGpu, type Gpu } from "@winnow/gpu-backend";

import type { GpuBenchmarkOptions } from "../arguments";
import { thisMachine } from "../machine";
import { measureCeilings } from "./ceilings";
import { extentFor, type Extent } from "./extent";
import { formatResult } from "./format-result";
import { tell } from "../progress";
import type { GpuBenchmarkResult, ShapeResult, Skipped } from "./result";
import { expectWritable, writeResult } from "./result-file";
import { measureShape } from "./shape-benchmark";
import type { ShapeName } from "./shape-names";
import { SHAPES, whySkipped } from "./shapes";
import { Stopwatch } from "./stopwatch";

export interface GpuMeasurement {
  /** A device of the adapter to measure: called once for the ceilings, and once for each shape. */
  readonly request: () => Promise<Gpu>;
  readonly shapes: readonly ShapeName[];
  /** How much is measured of a model of so long a context. */
  readonly extent: (context: number, software: boolean) => Extent;
}

/**
 * Print the result of {@link measureGpu}, and write it to a file where one is named.
 *
 * @throws WinnowError `backend` without an adapter, `usage` when `out` cannot be written.
 */
export async function runGpuBenchmark({ json, out, shapes }: GpuBenchmarkOptions): Promise<void> {
  if (out !== null) await expectWritable(out);
  const request = (): Promise<Gpu> => requestGpu({ allowSoftware: true });
  const result = await measureGpu({ request, shapes, extent: extentFor });
  const text = `${JSON.stringify(result, null, 1)}\n`;
  process.stdout.write(json ? text : formatResult(result));
  if (out !== null) await writeResult(out, text);
}

/**
 * Measure the adapter's ceilings, and each shape's operations, prompts and tokens against them. What is under way is
 * told on standard error.
 *
 * @throws WinnowError `backend` without an adapter, or when its device fails.
 */
export async function measureGpu({ request, shapes, extent }: GpuMeasurement): Promise<GpuBenchmarkResult> {
  const { adapter, clock, ceilings } = await measureAdapter(request);
  const results: (ShapeResult | Skipped)[] = [];
  for (const shape of shapes.map((name) => SHAPES[name])) {
    const skipped = whySkipped(shape, adapter);
    if (skipped === null) results.push(await measureShape({ shape, request, ceilings, extent }));
    else results.push({ name: shape.name, skipped });
  }
  const { name, vendor, architecture, software, features } = adapter;
  return {
    machine: thisMachine(),
    adapter: { name, vendor, architecture, software, features },
    clock,
    ceilings,
    shapes: results,
  };
}

async function measureAdapter(
  request: () => Promise<Gpu>,
): Promise<Pick<GpuBenchmarkResult, "clock" | "ceilings"> & { readonly adapter: Gpu["adapter"] }> {
  using backend = createWebGpuBackend(await request());
  const { adapter } = backend.gpu;
  const stopwatch = new Stopwatch(backend);
  tell(`${adapter.name}: copies and products`);
  return { adapter, clock: stopwatch.clock, ceilings: await measureCeilings(backend, stopwatch) };
}
