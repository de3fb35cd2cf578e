import { createCpuBackend, rows, tensor, numberToBf16, numberToF16, type Backend } from "@winnow/core-tensor";
import * as fc from "fast-check";
import { expect, it } from "vitest";

import { describeOnDevices, randoms } from "../../testing/on-gpu";

const OPTIONS = { label: "rms-norm.test", category: "activations" } as const;

interface Case {
  readonly rowCount: number;
  readonly runsPerRow: number;
  readonly width: number;
  readonly storage: "f32" | "f16" | "bf16";
  /** Rows before those that are normed, on each side. */
  readonly margin: number;
  readonly inPlace: boolean;
  readonly seed: number;
}

/** What a backend leaves in `out`, the rows around those that were asked for included. */
async function norm(backend: Backend, test: Case): Promise<Float32Array | Uint32Array> {
  const { rowCount, runsPerRow, width, storage, margin, inPlace, seed } = test;
  const shape = [rowCount + 2 * margin, runsPerRow * width];
  const elements = (rowCount + 2 * margin) * runsPerRow * width;
  using x = backend.upload(tensor("f32", shape, randoms(seed, elements)), OPTIONS);
  using other = backend.upload(tensor("f32", shape, randoms(seed + 1, elements)), OPTIONS);
  const scale = randoms(seed + 2, width);
  using weight = backend.upload(
    storage === "f32"
      ? tensor("f32", [width], scale)
      : tensor(storage, [width], Uint16Array.from(scale, storage === "f16" ? numberToF16 : numberToBf16)),
    OPTIONS,
  );
  const out = inPlace ? x : other;
  backend.rmsNorm({ x: rows(x, margin, rowCount), weight, epsilon: 1e-6, out: rows(out, margin, rowCount) });
  return await backend.download(out);
}

describeOnDevices("rmsNorm", (context) => {
  it("agrees with the CPU over shapes, weight types, and rows of a larger tensor", async () => {
    using cpu = createCpuBackend();
    const cases = fc.record({
      rowCount: fc.integer({ min: 0, max: 5 }),
      runsPerRow: fc.integer({ min: 1, max: 4 }),
      width: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(128, 576, 2048, 2050)),
      storage: fc.constantFrom("f32", "f16", "bf16"),
      margin: fc.integer({ min: 0, max: 2 }),
      inPlace: fc.boolean(),
      seed: fc.integer({ min: 1, max: 1e6 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async (test) => {
        expect(await norm(context.backend, test)).toBeAllclose(await norm(cpu, test), context.tolerance);
      }),
      { numRuns: 40 },
    );
  });

  it("norms more runs than one dimension of a grid holds", async () => {
    using cpu = createCpuBackend();
    const test = {
      rowCount: 70_001,
      runsPerRow: 1,
      width: 4,
      storage: "f32",
      margin: 0,
      inPlace: false,
      seed: 1,
    } as const;
    expect(await norm(context.backend, test)).toBeAllclose(await norm(cpu, test), context.tolerance);
  });
});
