import { rows, tensor } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { watchBuffers } from "../testing/live-buffers";
import { describeGpu, randoms, testBackend } from "../testing/on-gpu";

const OPTIONS = { label: "timestamps.test", category: "activations" } as const;

describeGpu("a trace", () => {
  it("has a span for every dispatch meanwhile, over several batches, and leaves nothing behind", async () => {
    using backend = await testBackend();
    if (!backend.gpu.capabilities.timestamps) {
      expect(() => backend.startTrace()).toThrow(/timestamp-query/);
      return;
    }
    const buffers = watchBuffers(backend.gpu.device);
    using x = backend.upload(tensor("f32", [4, 64], randoms(1, 256)), OPTIONS);
    using weight = backend.upload(tensor("f32", [64], randoms(2, 64)), OPTIONS);
    const norm = (): void => {
      backend.rmsNorm({ x: rows(x), weight, epsilon: 1e-5, out: rows(x) });
    };
    norm();
    await backend.flush();
    const stop = backend.startTrace();
    expect(() => backend.startTrace()).toThrow(/a trace is running/);
    for (let i = 0; i < 150; i++) norm();
    const { spans } = await stop();
    expect(spans).toHaveLength(150);
    expect(new Set(spans.map(({ label }) => label))).toEqual(new Set(["rmsNorm"]));
    expect(spans.every(({ start, duration }) => start >= 0 && duration >= 0)).toBe(true);
    expect(Math.max(...spans.map(({ duration }) => duration))).toBeGreaterThan(0);
    norm();
    await backend.flush();
    expect((await backend.startTrace()()).spans).toEqual([]);
    expect(backend.memory.byLabel().has("trace")).toBe(false);
    expect(backend.memory.snapshot().total).toBe(buffers.bytes());
  });

  it("is refused where the device takes no times", async () => {
    using backend = await testBackend(["timestamp-query"]);
    expect(() => backend.startTrace()).toThrow(/timestamp-query/);
  });
});
