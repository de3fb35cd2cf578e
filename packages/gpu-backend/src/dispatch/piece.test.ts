import { createCpuBackend, rows, tensor, type Backend, type DeviceTensor } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { registerMatchers } from "../../../core-tensor/src/testing/allclose";
import { Gpu } from "../device/gpu";
import { requestGpu } from "../node";
import { describeGpu, randoms } from "../testing/on-gpu";
import { createWebGpuBackend } from "../webgpu-backend";

registerMatchers();

/** A binding that holds fewer rows than the weights have. */
const MOST_BYTES = 4096;
const INPUTS = 36;
const OUTPUTS = 100;
const ROWS = 3;

describeGpu("weights larger than a binding", () => {
  const numbers = (backend: Backend, seed: number, shape: [number, number]): DeviceTensor =>
    backend.upload(tensor("f32", shape, randoms(seed, shape[0] * shape[1])), { label: "x", category: "activations" });

  async function small(): Promise<Backend> {
    const { device, adapter, capabilities } = await requestGpu({ allowSoftware: true });
    const limits = { ...capabilities.limits, maxStorageBufferBindingSize: MOST_BYTES };
    return createWebGpuBackend(new Gpu(device, adapter, { ...capabilities, limits }));
  }

  it.each([false, true])("are multiplied piece by piece, gated: %s", async (gated) => {
    const run = async (backend: Backend): Promise<Float32Array | Uint32Array> => {
      const out = numbers(backend, 3, [ROWS, gated ? OUTPUTS / 2 : OUTPUTS]);
      backend.matmul({
        x: rows(numbers(backend, 1, [ROWS, INPUTS])),
        weight: numbers(backend, 2, [OUTPUTS, INPUTS]),
        ...(gated ? { activation: "silu-gate" } : {}),
        out: rows(out),
      });
      return backend.download(out);
    };
    using backend = await small();
    using reference = createCpuBackend();
    expect(await run(backend)).toBeAllclose(await run(reference), { rtol: 1e-5, atol: 1e-5 });
  });

  it("are looked up piece by piece, and no token outside them is", async () => {
    using backend = await small();
    const ids = [99, 0, 57];
    const embed = (which: readonly number[]): Promise<Float32Array | Uint32Array> => {
      const out = numbers(backend, 3, [ROWS, INPUTS]);
      const list = backend.upload(tensor("u32", [ROWS], Uint32Array.from(which)), {
        label: "ids",
        category: "activations",
      });
      backend.embed({ table: numbers(backend, 2, [OUTPUTS, INPUTS]), ids: rows(list), out: rows(out) });
      return backend.download(out);
    };
    const table = randoms(2, OUTPUTS * INPUTS);
    const expected = ids.flatMap((id) => [...table.subarray(id * INPUTS, (id + 1) * INPUTS)]);
    expect([...(await embed(ids))]).toEqual(expected);
    await expect(embed([1, 100, 2])).rejects.toMatchObject({ code: "range" });
  });
});
