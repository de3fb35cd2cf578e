import { rows, tensor } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { defineKernel } from "../dispatch/kernel";
import { paramBlock } from "../dispatch/params";
import { watchBuffers } from "../testing/live-buffers";
import { describeGpu, testBackend } from "../testing/on-gpu";
import { bind, testRecorder } from "../testing/test-recorder";

const OPTIONS = { label: "failures.test", category: "kv" } as const;
const PARAMS = paramBlock({ count: "u32" });
const pack = PARAMS.pack({ count: 1 });
const FILL = defineKernel({
  label: "fill",
  params: PARAMS,
  storage: { out: { access: "write", type: "array<u32>" } },
  code: "@compute @workgroup_size(1) fn main() { out[0] = params.count; }",
});

/** What a call throws. */
function caught(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return null;
}

describeGpu("a device's errors", () => {
  it("name the kernel and the WGSL line that does not compile, each time it is used", async () => {
    using device = await testRecorder();
    const out = device.words([0]);
    const broken = defineKernel({
      label: "broken",
      params: PARAMS,
      storage: { out: { access: "write", type: "array<u32>" } },
      code: "@compute @workgroup_size(1)\nfn main() {\n  out[0] = params.missing;\n}",
    });
    for (let attempt = 0; attempt < 2; attempt++) {
      device.recorder.run([{ kernel: broken, params: pack, bindings: { out: bind(out) }, grid: [1, 1, 1] }]);
      await expect(device.read(out)).rejects.toMatchObject({
        failure: "shader",
        code: "backend",
        message: expect.stringMatching(
          /kernel broken .*line 8:\d+, `out\[0\] = params\.missing;`: .*missing/,
        ) as unknown,
      });
    }
    expect(await device.read(out)).toEqual([0]);
  });

  it("name the batch in which a command was not valid", async () => {
    using device = await testRecorder();
    const out = device.words([0]);
    device.recorder.run([{ kernel: FILL, params: pack, bindings: { out: bind(out) }, grid: [1, 1, 70_000] }]);
    await expect(device.read(out)).rejects.toMatchObject({
      failure: "validation",
      message: expect.stringContaining("a batch of fill: ") as unknown,
    });
  });

  it("name the limit and the size of a buffer that is too large", async () => {
    using backend = await testBackend();
    const { maxBufferSize } = backend.gpu.capabilities.limits;
    const before = backend.memory.snapshot().total;
    expect(caught(() => backend.allocate("f32", [2 ** 40], OPTIONS))).toMatchObject({
      failure: "limit",
      code: "memory",
      message: expect.stringMatching(
        new RegExp(`"failures.test" needs a buffer of ${2 ** 42} bytes.*maxBufferSize = ${maxBufferSize}`),
      ) as unknown,
    });
    expect(backend.memory.snapshot().total).toBe(before);
  });

  it("name the limit that a binding or a kernel goes beyond", async () => {
    using device = await testRecorder({ maxStorageBufferBindingSize: 4096 });
    const large = device.words(new Uint32Array(1025));
    const run = (): void => {
      device.recorder.run([{ kernel: FILL, params: pack, bindings: { out: bind(large) }, grid: [1, 1, 1] }]);
    };
    expect(caught(run)).toMatchObject({
      failure: "limit",
      message: expect.stringMatching(
        /fill: out binds 4100 bytes of "words".*maxStorageBufferBindingSize = 4096/,
      ) as unknown,
    });
    using narrow = await testRecorder({ maxStorageBuffersPerShaderStage: 0 });
    const out = narrow.words([0]);
    const bindings = { out: bind(out) };
    expect(
      caught(() => {
        narrow.recorder.run([{ kernel: FILL, params: pack, bindings, grid: [1, 1, 1] }]);
      }),
    ).toMatchObject({
      failure: "limit",
      message: expect.stringContaining("maxStorageBuffersPerShaderStage") as unknown,
    });
  });

  it("tell at the next flush that there was no memory, and count nothing for it", async () => {
    using backend = await testBackend();
    const { device } = backend.gpu;
    const buffers = watchBuffers(device);
    const pop = device.popErrorScope.bind(device);
    let popped = 0;
    // Scopes are popped from the inside: validation, then memory.
    device.popErrorScope = async () => {
      const error = await pop();
      return ++popped === 2 ? { __brand: "GPUError", message: "no more" } : error;
    };
    const lost = backend.allocate("f32", [1024], OPTIONS);
    device.popErrorScope = pop;
    await expect(backend.flush()).rejects.toMatchObject({
      failure: "out-of-memory",
      code: "memory",
      message: expect.stringMatching(/no memory for "failures.test", 4096 bytes.*--kv-type/) as unknown,
    });
    expect(lost.disposed).toBe(true);
    expect(backend.memory.snapshot().total).toBe(buffers.bytes());
    await backend.flush();
  });

  it("end what is awaited and all that follows when the device is lost", async () => {
    using backend = await testBackend();
    const x = backend.allocate("f32", [1, 4], OPTIONS);
    const reading = backend.download(x);
    backend.gpu.device.destroy();
    await expect(reading).rejects.toMatchObject({ failure: "lost" });
    await expect(backend.flush()).rejects.toMatchObject({ failure: "lost", code: "backend" });
    expect(caught(() => backend.allocate("f32", [4], OPTIONS))).toMatchObject({ failure: "lost" });
    backend.rmsNorm({ x: rows(x), weight: x, epsilon: 1, out: rows(x) });
    await expect(backend.download(x)).rejects.toMatchObject({ failure: "lost" });
  });

  it("end what is awaited when the backend is disposed", async () => {
    const backend = await testBackend();
    const reading = backend.download(backend.allocate("f32", [4], OPTIONS));
    const ended = expect(reading).rejects.toMatchObject({ code: "disposed" });
    backend[Symbol.dispose]();
    await ended;
    expect(backend.memory.snapshot().total).toBe(0);
    backend[Symbol.dispose]();
  });

  it("end what is awaited when it is interrupted, and what follows works", async () => {
    using backend = await testBackend();
    const x = backend.upload(tensor("f32", [2], Float32Array.of(3, 4)), OPTIONS);
    const reading = expect(backend.download(x)).rejects.toMatchObject({ code: "aborted" });
    const flushing = expect(backend.flush()).rejects.toMatchObject({ code: "aborted" });
    backend.interrupt();
    await Promise.all([reading, flushing]);
    expect(Array.from(await backend.download(x))).toEqual([3, 4]);
  });
});
