import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

import type { MatmulSpec } from "../backend";
import { rows } from "../device-tensor";
import { lasting } from "../lasting-spec";
import { tensor } from "../tensor";
import { backendSuite } from "../testing";
import { createCpuWorkerBackend } from "./cpu-worker-backend";

// The thread runs built code: Node cannot load TypeScript.
const dist = new URL("../../dist/", import.meta.url);
const script = new URL("cpu-worker.js", dist);
const options = { label: "test", category: "activations" } as const;

backendSuite("cpu-worker", () => createCpuWorkerBackend({ script }));

describe("a worker backend", () => {
  /** A product of seconds, whose results are all at least 1. */
  const startLongWork = (backend: ReturnType<typeof createCpuWorkerBackend>) => {
    const [count, inputs, outputs] = [4000, 1000, 2000];
    const ones = (shape: number[], length: number) =>
      backend.upload(tensor("f32", shape, new Float32Array(length).fill(1)), options);
    const x = ones([count, inputs], count * inputs);
    const weight = ones([outputs, inputs], outputs * inputs);
    const out = backend.allocate("f32", [count, outputs], options);
    backend.matmul({ x: rows(x), weight, out: rows(out) });
    return { out, last: count * outputs - 1 };
  };

  it("stops what is running, rejects who waits for it, and goes on with what comes after", async () => {
    using backend = createCpuWorkerBackend({ script });
    const { out, last } = startLongWork(backend);
    const pending = [backend.flush(), backend.download(out, 0, 1)];
    const settled = Promise.allSettled(pending);
    await new Promise((resolve) => setTimeout(resolve, 20));
    backend.interrupt();
    for (const result of await settled)
      expect(result).toMatchObject({ status: "rejected", reason: { code: "aborted" } });
    expect(Array.from(await backend.download(out, last, 1))).toEqual([0]);
    backend.write(out, Float32Array.of(5));
    expect(Array.from(await backend.download(out, 0, 1))).toEqual([5]);
  });

  it("forgets an interrupted operation that nobody waited for", async () => {
    using backend = createCpuWorkerBackend({ script });
    const { out, last } = startLongWork(backend);
    backend.interrupt();
    backend.write(out, Float32Array.of(7));
    expect(Array.from(await backend.download(out, 0, 1))).toEqual([7]);
    expect(Array.from(await backend.download(out, last, 1))).toEqual([0]);
    backend.interrupt();
    await backend.flush();
  });

  it("knows a lasting specification that first came with what was interrupted", async () => {
    using backend = createCpuWorkerBackend({ script });
    const x = backend.upload(tensor("f32", [1, 2], Float32Array.of(1, 2)), options);
    const weight = backend.upload(tensor("f32", [1, 2], Float32Array.of(3, 4)), options);
    const out = backend.allocate("f32", [1, 1], options);
    const product = lasting<MatmulSpec>({ x: rows(x), weight, out: rows(out) });
    startLongWork(backend);
    backend.matmul(product);
    backend.interrupt();
    expect(Array.from(await backend.download(out))).toEqual([0]);
    backend.matmul(product);
    expect(Array.from(await backend.download(out))).toEqual([11]);
  });

  it("tells whoever waits that something cannot be sent, and nobody else", async () => {
    using backend = createCpuWorkerBackend({ script });
    const target = backend.allocate("f32", [1], options);
    const unsendable: unknown = () => undefined;
    backend.allocate("f32", [1], { ...options, label: unsendable as string });
    const failure = { code: "backend", message: expect.stringContaining("nothing can be sent") as unknown };
    await expect(backend.download(target)).rejects.toMatchObject(failure);
    await expect(backend.flush()).rejects.toMatchObject(failure);
  });

  it("posts commands when many have gathered, in order", async () => {
    using backend = createCpuWorkerBackend({ script });
    const target = backend.allocate("u32", [1000], options);
    for (let i = 0; i < 1000; i++) backend.write(target, Uint32Array.of(i, i + 1).subarray(0, i < 999 ? 2 : 1), i);
    expect(Array.from(await backend.download(target))).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it("takes over a buffer that an upload fills, and copies a part of one", async () => {
    using backend = createCpuWorkerBackend({ script });
    const whole = Float32Array.of(1, 2);
    const part = Float32Array.of(1, 2, 3).subarray(1);
    const uploads = [whole, part].map((data) => backend.upload(tensor("f32", [2], data), options));
    expect([whole.byteLength, part.byteLength]).toEqual([0, 8]);
    expect(await Promise.all(uploads.map((upload) => backend.download(upload)))).toEqual([
      Float32Array.of(1, 2),
      Float32Array.of(2, 3),
    ]);
  });

  it("rejects who waits when it is disposed", async () => {
    const backend = createCpuWorkerBackend({ script });
    startLongWork(backend);
    const pending = backend.flush();
    backend[Symbol.dispose]();
    backend[Symbol.dispose]();
    await expect(pending).rejects.toMatchObject({ code: "disposed" });
    expect(backend.memory.snapshot().total).toBe(0);
  });

  it("rejects who waits, then and later, when its thread fails", async () => {
    const failing = `import { parentPort } from "node:worker_threads"; parentPort.on("message", () => { throw new Error("boom"); });`;
    for (const broken of [
      new URL(`data:text/javascript,${encodeURIComponent(failing)}`),
      new URL("./nowhere.js", import.meta.url),
    ]) {
      using backend = createCpuWorkerBackend({ script: broken });
      const made = backend.allocate("f32", [1], options);
      await expect(backend.flush()).rejects.toMatchObject({ name: "WinnowError", code: "backend" });
      await expect(backend.download(made)).rejects.toMatchObject({ code: "backend" });
      made[Symbol.dispose]();
    }
  });

  it.each([
    ["module", `import { createCpuWorkerBackend } from "${new URL("worker.js", dist).href}";`],
    [
      "commonjs",
      `const { createCpuWorkerBackend } = require(${JSON.stringify(fileURLToPath(new URL("worker.cjs", dist)))});`,
    ],
  ])("works from the %s build, and lets the process end by itself", async (type, load) => {
    const program = `${load}
      const backend = createCpuWorkerBackend();
      const made = backend.allocate("f32", [2], { label: "x", category: "kv" });
      backend.write(made, Float32Array.of(3, 4));
      backend.download(made).then((data) => console.log(data.join()));`;
    const { stdout } = await promisify(execFile)(process.execPath, [`--input-type=${type}`, "--eval", program], {
      timeout: 20_000,
    });
    expect(stdout.trim()).toBe("3,4");
  });
});
