import { rows, tensor } from "@winnow/core-tensor";
import type { WebGpuBackend } from "@winnow/gpu-backend";

import { randomTensor, randomWeightBytes } from "./random-data";
import { significant, type Ceilings } from "./result";
import type { Stopwatch } from "./stopwatch";
import { productWork } from "./work";

/** Large enough that no cache of a GPU holds it; software has no such caches, and takes its time. */
const COPY_BYTES = { device: 2 ** 30, software: 2 ** 26 };
const PRODUCT_SIZES = { device: [2048, 4096, 8192], software: [256, 512] };
/** A copy is repeated within one submission until that takes so long: submitting then counts for nothing. */
const COPY_SECONDS = 0.1;
const COPY_RUNS = 3;

const COPY_THREADS = 256;
const COPY_WGSL = /* wgsl */ `
@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> copy: array<vec4u>;

@compute @workgroup_size(${COPY_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&copy); i += groups.x * ${COPY_THREADS}) {
    copy[i] = source[i];
  }
}
`;

/** Flags of WebGPU, which Node has no constants for. */
const BufferUsage = { copySource: 0x4, copyTarget: 0x8, storage: 0x80 } as const;

/**
 * The rates that the adapter reaches in what bounds a decoder: moving bytes, and multiplying matrices.
 *
 * @throws WinnowError `backend` or `memory` when the device fails.
 */
export async function measureCeilings(backend: WebGpuBackend, stopwatch: Stopwatch): Promise<Ceilings> {
  const kind = backend.gpu.adapter.software === null ? "device" : "software";
  return {
    copy: await measureCopy(backend, COPY_BYTES[kind]),
    product: await measureProducts(backend, stopwatch, PRODUCT_SIZES[kind]),
  };
}

async function measureCopy({ gpu }: WebGpuBackend, wanted: number): Promise<Ceilings["copy"]> {
  const { device } = gpu;
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = gpu.capabilities.limits;
  const bytes = 2 ** Math.floor(Math.log2(Math.min(wanted, maxBufferSize, maxStorageBufferBindingSize)));
  const usage = BufferUsage.storage | BufferUsage.copySource | BufferUsage.copyTarget;
  const source = device.createBuffer({ label: "bench.source", size: bytes, usage });
  const copy = device.createBuffer({ label: "bench.copy", size: bytes, usage });
  try {
    const module = device.createShaderModule({ label: "bench.copy", code: COPY_WGSL });
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [source, copy].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const workgroups = Math.min(maxComputeWorkgroupsPerDimension, bytes / 16 / COPY_THREADS);
    const byKernel = await copyRate(device, bytes, (encoder) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups);
      pass.end();
    });
    const byCommand = await copyRate(device, bytes, (encoder) => {
      encoder.copyBufferToBuffer(source, 0, copy, 0, bytes);
    });
    // Errors of these commands come like those of an operation.
    await gpu.failures.checkpoint()();
    return { gigabytesPerSecond: Math.max(byKernel, byCommand), bytes, byKernel, byCommand };
  } finally {
    source.destroy();
    copy.destroy();
  }
}

/** @returns the best of some runs, in GB/s read and written. */
async function copyRate(
  device: GPUDevice,
  bytes: number,
  encode: (encoder: GPUCommandEncoder) => void,
): Promise<number> {
  const run = async (copies: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < copies; i++) encode(encoder);
    const started = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return (performance.now() - started) / 1000;
  };
  let copies = 1;
  while ((await run(copies)) < COPY_SECONDS) copies *= 2;
  let best = Infinity;
  for (let i = 0; i < COPY_RUNS; i++) best = Math.min(best, await run(copies));
  return significant((2 * bytes * copies) / best / 1e9);
}

async function measureProducts(
  backend: WebGpuBackend,
  stopwatch: Stopwatch,
  sizes: readonly number[],
): Promise<Ceilings["product"]> {
  const measured: { size: number; gigaflopsPerSecond: number }[] = [];
  for (const size of sizes) {
    const halves = new Uint16Array(size * size);
    randomWeightBytes(new Uint8Array(halves.buffer), 0);
    const options = { label: "bench", category: "activations" } as const;
    using weight = backend.upload(tensor("f16", [size, size], halves), options);
    using x = randomTensor(backend, [size, size]);
    using out = backend.allocate("f32", [size, size], options);
    const { seconds } = await stopwatch.time(() => {
      backend.matmul({ x: rows(x), weight, out: rows(out) });
    });
    const { flops } = productWork({ rows: size, inputs: size, outputs: size, weightBytes: weight.bytes });
    measured.push({ size, gigaflopsPerSecond: significant(flops / seconds / 1e9) });
  }
  return {
    gigaflopsPerSecond: Math.max(...measured.map(({ gigaflopsPerSecond }) => gigaflopsPerSecond)),
    sizes: measured,
  };
}
