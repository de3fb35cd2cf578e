import { numberToF16, rows, tensor } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { watchBuffers } from "../testing/live-buffers";
import { describeGpu, randoms, testBackend } from "../testing/on-gpu";

describeGpu("the memory meter", () => {
  it("agrees with the buffers that exist, at every step", async () => {
    using backend = await testBackend();
    const buffers = watchBuffers(backend.gpu.device);
    const agree = (): void => {
      expect(backend.memory.snapshot().total).toBe(buffers.bytes());
    };
    agree();
    const x = backend.upload(tensor("f32", [8, 6], randoms(1, 48)), { label: "x", category: "activations" });
    const halves = Uint16Array.from([1, 2, 3, 4, 5, 6], numberToF16);
    // Three words for six halves, and a last word that is half empty for five.
    const weight = backend.upload(tensor("f16", [6], halves), { label: "w", category: "weights" });
    const odd = backend.upload(tensor("f16", [5], halves.slice(0, 5)), { label: "odd", category: "weights" });
    const none = backend.allocate("f32", [0, 4], { label: "none", category: "kv" });
    expect(backend.memory.snapshot()).toMatchObject({ weights: 24, kv: 4, activations: 192 });
    agree();
    backend.rmsNorm({ x: rows(x), weight, epsilon: 1e-5, out: rows(x) });
    agree();
    await backend.download(x);
    agree();
    expect(await backend.download(none)).toHaveLength(0);
    for (const made of [x, weight, odd, none]) {
      made[Symbol.dispose]();
      agree();
    }
    await backend.flush();
    backend.trim();
    agree();
    // What is left serves every operation to come.
    const { activations, total } = backend.memory.snapshot();
    expect(activations).toBe(total);
  });

  it("comes back to where it was after a thousand sessions", async () => {
    using backend = await testBackend();
    const buffers = watchBuffers(backend.gpu.device);
    const options = { label: "session", category: "kv" } as const;
    const session = async (last: boolean): Promise<void> => {
      using x = backend.upload(tensor("f32", [4, 8], randoms(1, 32)), options);
      using weight = backend.upload(tensor("f32", [8], randoms(2, 8)), options);
      backend.rmsNorm({ x: rows(x), weight, epsilon: 1e-5, out: rows(x) });
      if (last) await backend.download(x);
    };
    await session(true);
    const before = { bytes: buffers.bytes(), count: buffers.count(), groups: backend.counts.bindGroups };
    for (let i = 0; i < 1000; i++) await session(i % 50 === 0);
    await backend.flush();
    expect({ bytes: buffers.bytes(), count: buffers.count(), groups: backend.counts.bindGroups }).toEqual(before);
    expect(backend.memory.snapshot().total).toBe(buffers.bytes());
  });
});
