import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { lasting, rows, tensor, type DeviceTensor, type MatmulSpec } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { describeGpu, randoms, testBackend } from "../testing/on-gpu";
import type { WebGpuBackend } from "../webgpu-backend";

const OPTIONS = { label: "memo.test", category: "activations" } as const;
const WIDTH = 8;

/** A square product of up to four rows. */
class Product implements Disposable {
  readonly x: DeviceTensor;
  readonly weight: DeviceTensor;
  readonly out: DeviceTensor;

  constructor(readonly backend: WebGpuBackend) {
    this.x = backend.upload(tensor("f32", [4, WIDTH], randoms(1, 4 * WIDTH)), OPTIONS);
    this.weight = backend.upload(tensor("f32", [WIDTH, WIDTH], randoms(2, WIDTH * WIDTH)), OPTIONS);
    this.out = backend.allocate("f32", [4, WIDTH], OPTIONS);
  }

  run(count = 4, more: { readonly softCap?: number } = {}): void {
    const { x, weight, out } = this;
    this.backend.matmul({ x: rows(x, 0, count), weight, ...more, out: rows(out, 0, count) });
  }

  [Symbol.dispose](): void {
    for (const made of [this.x, this.weight, this.out]) made[Symbol.dispose]();
  }
}

describeGpu("operations that come again", () => {
  it("are planned once, and read what is in their tensors then", async () => {
    using backend = await testBackend();
    using product = new Product(backend);
    product.run();
    const first = Array.from(await backend.download(product.out));
    const before = backend.counts;
    backend.write(
      product.x,
      Float32Array.from(randoms(1, 4 * WIDTH), (value) => 2 * value),
    );
    for (let i = 0; i < 10; i++) product.run();
    expect(Array.from(await backend.download(product.out))).toEqual(first.map((value) => 2 * value));
    expect(backend.counts).toEqual({
      ...before,
      dispatches: before.dispatches + 10,
      submissions: before.submissions + 1,
    });
  });

  it("are planned anew where anything of them differs", async () => {
    using backend = await testBackend();
    using product = new Product(backend);
    const uses = [
      () => {
        product.run(4);
      },
      () => {
        product.run(3);
      },
      () => {
        product.run(4, { softCap: 1 });
      },
    ];
    const results: number[][] = [];
    for (const use of [...uses, ...uses]) {
      backend.clear(product.out);
      use();
      results.push(Array.from(await backend.download(product.out)));
    }
    expect(backend.counts).toMatchObject({ planned: uses.length, plans: uses.length });
    expect(results.slice(uses.length)).toEqual(results.slice(0, uses.length));
    expect(new Set(results.map(String)).size).toBe(uses.length);
  });

  it("are known by a specification that lasts, until others have taken their place", async () => {
    using backend = await testBackend();
    using product = new Product(backend);
    const { x, weight, out } = product;
    const spec = lasting<MatmulSpec>({ x: rows(x), weight, out: rows(out) });
    const run = async (): Promise<number[]> => {
      backend.clear(out);
      backend.matmul(spec);
      return Array.from(await backend.download(out));
    };
    const first = await run();
    expect(await run()).toEqual(first);
    expect(backend.counts.planned).toBe(1);
    for (let cap = 1; cap <= 4; cap++) product.run(4, { softCap: cap });
    expect(backend.counts).toMatchObject({ planned: 5, plans: 4 });
    expect(await run()).toEqual(first);
    expect(await run()).toEqual(first);
    expect(backend.counts).toMatchObject({ planned: 6, plans: 4 });
  });

  it("are not kept beyond a few", async () => {
    using backend = await testBackend();
    using product = new Product(backend);
    for (let i = 1; i <= 100; i++) product.run(4, { softCap: i });
    expect(backend.counts.plans).toBeLessThanOrEqual(4);
    await backend.flush();
  });

  it("are forgotten with any of their tensors, whose later use is refused as ever", async () => {
    for (const name of ["x", "weight", "out"] as const) {
      using backend = await testBackend();
      using product = new Product(backend);
      product.run();
      expect(backend.counts.plans).toBe(1);
      product[name][Symbol.dispose]();
      expect(backend.counts.plans).toBe(0);
      product.run();
      await expect(backend.flush()).rejects.toMatchObject({ code: "disposed" });
      await backend.flush();
    }
  });

  it("keep no tensor alive that was disposed", async () => {
    setFlagsFromString("--expose-gc");
    using backend = await testBackend();
    const use = (): WeakRef<DeviceTensor>[] => {
      using product = new Product(backend);
      product.run();
      product.run();
      return [product.x, product.weight, product.out].map((made) => new WeakRef(made));
    };
    const made = use();
    await backend.flush();
    await new Promise((resolve) => setTimeout(resolve, 0));
    // In a context that was made after the flag was set.
    runInNewContext("gc()");
    expect(made.map((of) => of.deref())).toEqual([undefined, undefined, undefined]);
  });

  it("survive that the memory between their dispatches is given back", async () => {
    using backend = await testBackend();
    using product = new Product(backend);
    const { x, weight } = product;
    // In place: the rows are copied first.
    const inPlace = (): void => {
      backend.matmul({ x: rows(x), weight, out: rows(x) });
    };
    const start = randoms(1, 4 * WIDTH);
    inPlace();
    const first = Array.from(await backend.download(x));
    backend.trim();
    expect(backend.counts.plans).toBe(0);
    backend.write(x, Float32Array.from(start));
    inPlace();
    expect(Array.from(await backend.download(x))).toEqual(first);
  });

  it("are planned and compiled anew after their kernel was refused", async () => {
    using backend = await testBackend();
    using product = new Product(backend);
    await backend.flush();
    const { device } = backend.gpu;
    const pop = device.popErrorScope.bind(device);
    let popped = 0;
    // The scope of validation is the innermost of those around the first thing that the product asks for: its pipeline.
    device.popErrorScope = async () => {
      const error = await pop();
      return ++popped === 1 ? { __brand: "GPUError", message: "refused" } : error;
    };
    product.run();
    device.popErrorScope = pop;
    await expect(backend.flush()).rejects.toMatchObject({ message: expect.stringContaining("matmul") as unknown });
    const { planned } = backend.counts;
    product.run();
    await backend.flush();
    expect(backend.counts).toMatchObject({ planned: planned + 1, plans: 1, pipelines: 1 });
  });
});
