import { MemoryMeter } from "@winnow/core-tensor";

import { BufferStore } from "../buffers/buffer-store";
import type { StoredBuffer } from "../buffers/stored-buffer";
import { BufferUsage } from "../device/flags";
import { Gpu } from "../device/gpu";
import type { GpuCapabilities } from "../device/capabilities";
import type { BufferBinding } from "../dispatch/binding";
import { Recorder } from "../dispatch/recorder";
import { requestGpu } from "../node";

/** A recorder and buffers without the operations of a backend: for tests with kernels of their own. */
export class TestRecorder implements Disposable {
  readonly memory = new MemoryMeter();
  readonly store: BufferStore;
  readonly recorder: Recorder;

  constructor(readonly gpu: Gpu) {
    this.store = new BufferStore(gpu, this.memory);
    this.recorder = new Recorder(gpu, this.store);
  }

  /** A buffer of words. */
  words(values: ArrayLike<number>): StoredBuffer {
    const data = Uint32Array.from(values);
    const buffer = this.store.create({
      label: "words",
      category: "activations",
      bytes: data.byteLength,
      usage: BufferUsage.storage | BufferUsage.copySource | BufferUsage.copyTarget,
    });
    this.recorder.write(buffer, 0, new Uint8Array(data.buffer));
    return buffer;
  }

  async read(buffer: StoredBuffer): Promise<number[]> {
    const { parts, fault } = await this.recorder.read([{ buffer, offset: 0, bytes: buffer.bytes }]);
    if (fault !== null) throw fault;
    const error = await this.gpu.failures.checkpoint()();
    if (error !== null) throw error;
    return Array.from(new Uint32Array(parts[0] ?? new ArrayBuffer(0)));
  }

  [Symbol.dispose](): void {
    this.recorder[Symbol.dispose]();
    this.store[Symbol.dispose]();
    this.gpu[Symbol.dispose]();
  }
}

export function bind(buffer: StoredBuffer): BufferBinding {
  return { kind: "buffer", buffer, offset: 0, bytes: buffer.bytes };
}

/** @param lower limits to plan within that are lower than the adapter's. */
export async function testRecorder(lower: Partial<GpuCapabilities["limits"]> = {}): Promise<TestRecorder> {
  const { device, adapter, capabilities } = await requestGpu({ allowSoftware: true });
  return new TestRecorder(new Gpu(device, adapter, { ...capabilities, limits: { ...capabilities.limits, ...lower } }));
}
