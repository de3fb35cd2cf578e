import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

import { rows, tensor } from "@winnow/core-tensor";

import { createSimdBackend, createSimdWorkerBackend } from "./node";

// The thread runs built code: Node cannot load TypeScript.
const dist = new URL("../dist/", import.meta.url);
const script = new URL("cpu-worker.js", dist);
const options = { label: "test", category: "activations" } as const;

describe("a backend led by a thread of its own", () => {
  it("works from both builds, and lets the process end by itself", async () => {
    const programs = [
      ["module", `import { createSimdWorkerBackend } from "${new URL("node.js", dist).href}";`],
      [
        "commonjs",
        `const { createSimdWorkerBackend } = require(${JSON.stringify(fileURLToPath(new URL("node.cjs", dist)))});`,
      ],
    ];
    for (const [type, load] of programs) {
      const program = `${load}
        const backend = createSimdWorkerBackend({ threads: 3 });
        const x = backend.allocate("f32", [4, 8], { label: "x", category: "kv" });
        const weight = backend.allocate("f32", [9, 8], { label: "w", category: "kv" });
        const out = backend.allocate("f32", [4, 9], { label: "out", category: "kv" });
        backend.write(x, new Float32Array(32).fill(2));
        backend.write(weight, new Float32Array(72).fill(0.5));
        backend.matmul({ x: { tensor: x, start: 0, count: 4 }, weight, out: { tensor: out, start: 0, count: 4 } });
        backend.download(out, 0, 2).then((data) => console.log(data.join()));`;
      const { stdout } = await promisify(execFile)(process.execPath, [`--input-type=${type}`, "--eval", program], {
        timeout: 20_000,
      });
      expect(stdout.trim()).toBe("8,8");
    }
  });

  it("stops what is running, and goes on with what comes after", async () => {
    using backend = createSimdWorkerBackend({ threads: 2, script });
    // Many seconds of work, whose results are all at least 1.
    const [count, inputs, outputs] = [4000, 2000, 8000];
    const ones = (shape: [number, number]) =>
      backend.upload(tensor("f32", shape, new Float32Array(shape[0] * shape[1]).fill(1)), options);
    const x = ones([count, inputs]);
    const weight = ones([outputs, inputs]);
    const out = backend.allocate("f32", [count, outputs], options);
    backend.matmul({ x: rows(x), weight, out: rows(out) });
    const pending = backend.flush();
    const settled = Promise.allSettled([pending]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    backend.interrupt();
    expect(await settled).toMatchObject([{ status: "rejected", reason: { code: "aborted" } }]);
    expect(Array.from(await backend.download(out, count * outputs - 1, 1))).toEqual([0]);
    backend.write(out, Float32Array.of(5));
    expect(Array.from(await backend.download(out, 0, 1))).toEqual([5]);
  });

  it("counts the bytes that its thread holds: halves as halves, grouped rows as groups", () => {
    using backend = createSimdWorkerBackend({ script });
    const halves = backend.upload(tensor("f16", [3, 5], new Uint16Array(15)), options);
    const vector = backend.upload(tensor("bf16", [5], new Uint16Array(5)), options);
    // Three rows of one block: four times 32 bytes and a half.
    const grouped = backend.upload(tensor("q8_0", [3, 32], new Uint32Array(27)), options);
    expect([halves.bytes, vector.bytes, grouped.bytes]).toEqual([30, 20, 136]);
    expect(backend.memory.snapshot().total).toBe(186);
  });
});

describe("a backend led by the calling thread", () => {
  it("gives its memory back, and refuses what it cannot hold", async () => {
    using backend = await createSimdBackend({ threads: 1 });
    const before = backend.memory.snapshot().total;
    const made = backend.allocate("f32", [1000], options);
    expect(backend.memory.snapshot().total - before).toBe(4000);
    made[Symbol.dispose]();
    expect(backend.memory.snapshot().total).toBe(before);
    expect(() => backend.allocate("f32", [2 ** 30], options)).toThrow(/4 GiB/);
    await expect(createSimdBackend({ threads: 0 })).rejects.toMatchObject({ code: "usage" });
  });
});
