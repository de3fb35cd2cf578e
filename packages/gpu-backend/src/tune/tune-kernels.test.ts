import { rows, WinnowError } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { registerMatchers } from "../../../core-tensor/src/testing/allclose";
import { Fixture } from "../../../core-tensor/src/testing/fixture";
import { randomRows } from "../../../core-tensor/src/testing/naive-quantised";
import { describeGpu, randoms, testBackend } from "../testing/on-gpu";
import { createWebGpuBackend, type WebGpuBackend } from "../webgpu-backend";
import type { Plan } from "../dispatch/dispatch";
import { KernelClock } from "./kernel-clock";
import type { OperandMemory } from "./operand-bench";
import { fastest, tuneTasks } from "./tune-kernels";
import type { TuningTask } from "./tuning-task";

registerMatchers();

const timed = (...times: number[]) => times.map((microseconds, i) => ({ name: String(i), microseconds }));

it("keeps the first candidate unless another is clearly faster", () => {
  expect(fastest(timed(100, 96, 99))).toBe("0");
  expect(fastest(timed(100, 94, 90))).toBe("2");
  expect(fastest(timed(100))).toBe("0");
  expect(fastest([])).toBeNull();
});

describeGpu("tuneKernels", () => {
  const product = async (backend: WebGpuBackend): Promise<number[]> => {
    const fixture = new Fixture(backend);
    const out = fixture.f32([1, 8]);
    const weight = fixture.quantised("q4_0", [8, 128], randomRows("q4_0", 8, 128, 1));
    backend.matmul({ x: rows(fixture.f32([1, 128], randoms(2, 128))), weight, out: rows(out) });
    const found = await fixture.read(out);
    fixture.release();
    return found;
  };

  it.each([
    ["by the device's clock", [] as const],
    ["by the host's", ["timestamp-query"] as const],
  ])(
    "times what was used %s, frees all it took, and a backend with its choices computes the same",
    async (_, without) => {
      using backend = await testBackend(without);
      const before = await product(backend);
      const { total } = backend.memory.snapshot();
      const progress: number[][] = [];
      const tuning = await backend.tuneKernels({ onProgress: (...step) => progress.push(step) });
      expect(tuning.clock).toBe(backend.gpu.capabilities.timestamps ? "gpu" : "wall");
      expect(tuning.timings.map(({ shape }) => shape)).toEqual(["matmul.few q4_0 128→8"]);
      expect(progress).toEqual([[1, 1]]);
      const [timing] = tuning.timings;
      expect(timing?.candidates.map(({ name }) => name)).toContain(timing?.chosen);
      expect(timing?.candidates.every(({ microseconds }) => microseconds > 0)).toBe(true);
      expect(timing?.candidates.some(({ name }) => name.startsWith("dot"))).toBe(false);
      backend.trim();
      expect(backend.memory.byLabel().has("tuning")).toBe(false);
      expect(backend.memory.snapshot().total).toBeLessThanOrEqual(total + 2 ** 16);
      const after = await product(createWebGpuBackend(backend.gpu, { kernels: tuning.choices }));
      expect(after).toBeAllclose(before, { rtol: 1e-5, atol: 1e-5 });
    },
  );

  it.each([
    ["others", { first: [1, 2], same: [1, 2], other: [1, 3] }, ["first", "same"], ["other"]],
    ["no numbers", { first: [NaN, 2], same: [1, 2], other: [1, 2] }, ["same", "other"], ["first"]],
    ["nothing but no numbers", { first: [NaN, 2], other: [1, Infinity] }, [], ["first", "other"]],
  ])("leaves out candidates whose results are %s", async (_, results: Record<string, number[]>, right, wrong) => {
    using backend = await testBackend();
    const plans = new Map<Plan, number[]>();
    let computed: number[] = [];
    const task: TuningTask = {
      key: "a shape",
      sourceOf: () => "",
      prepare: (bench) => {
        bench.result([2]);
        return Object.entries(results).map(([name, found]) => {
          const plan: Plan = [];
          plans.set(plan, found);
          return { name, rounds: false, plan: () => plan };
        });
      },
    };
    const memory: OperandMemory = {
      gpu: backend.gpu,
      allocate: (dtype, shape) => backend.allocate(dtype, shape, { label: "tuning", category: "activations" }),
      write: () => undefined,
      read: () => Promise.resolve(Float32Array.from(computed)),
    };
    const clock = new KernelClock({
      timestamps: false,
      run: (plan) => {
        computed = plans.get(plan) ?? [];
      },
      flush: () => Promise.resolve(),
      startTrace: () => backend.startTrace(),
      ended: () => false,
    });
    const { timings, choices } = await tuneTasks([task], memory, clock, {});
    expect(timings).toMatchObject([{ candidates: right.map((name) => ({ name })), wrong }]);
    expect(choices.size).toBe(right.length > 0 ? 1 : 0);
  });

  it("times products of whole numbers only when it is told that activations may be rounded", async () => {
    using backend = await testBackend();
    await product(backend);
    const { timings } = await backend.tuneKernels({ roundActivations: true });
    expect(timings[0]?.candidates.some(({ name }) => name.startsWith("dot"))).toBe(true);
  });

  it("stops when it is told to", async () => {
    using backend = await testBackend();
    await product(backend);
    const stopped = backend.tuneKernels({ signal: AbortSignal.abort() });
    await expect(stopped).rejects.toBeInstanceOf(WinnowError);
    expect(backend.memory.byLabel().has("tuning")).toBe(false);
  });
});
