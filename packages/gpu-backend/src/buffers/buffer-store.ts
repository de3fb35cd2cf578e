import type { MemoryCategory, MemoryMeter } from "@winnow/core-tensor";

import type { Gpu } from "../device/gpu";
import { GpuError, type GpuFailure } from "../device/gpu-error";
import { StoredBuffer } from "./stored-buffer";

const WORD_BYTES = 4;

export interface BufferRequest {
  readonly label: string;
  readonly category: MemoryCategory;
  readonly bytes: number;
  /** A union of `BufferUsage`. */
  readonly usage: number;
}

/** Makes every GPUBuffer of a backend, tensors and its own helpers alike, so that the meter agrees with what exists. */
export class BufferStore implements Disposable {
  readonly #gpu: Gpu;
  readonly #memory: MemoryMeter;
  readonly #releases = new Map<StoredBuffer, () => void>();
  #nextId = 1;
  readonly #beforeDestroy = new Set<(buffer: StoredBuffer) => void>();

  constructor(gpu: Gpu, memory: MemoryMeter) {
    this.#gpu = gpu;
    this.#memory = memory;
  }

  /**
   * Who has to finish with a buffer before it is destroyed.
   *
   * @returns ends that.
   */
  onDestroy(finish: (buffer: StoredBuffer) => void): () => void {
    this.#beforeDestroy.add(finish);
    return () => {
      this.#beforeDestroy.delete(finish);
    };
  }

  /**
   * A buffer of zeros. Where the device has no memory left, that is known only later: the error comes with the next
   * `flush` or `download`, and the buffer counts for nothing from then on.
   *
   * @throws GpuError `limit` when it is larger than the adapter allows, `lost`
   */
  create({ label, category, bytes, usage }: BufferRequest): StoredBuffer {
    this.#gpu.expectAlive();
    const size = Math.max(WORD_BYTES, Math.ceil(bytes / WORD_BYTES) * WORD_BYTES);
    const { maxBufferSize } = this.#gpu.capabilities.limits;
    if (size > maxBufferSize) {
      throw new GpuError(
        "limit",
        `"${label}" needs a buffer of ${size} bytes, and ${this.#gpu.adapter.name} allows maxBufferSize = ` +
          `${maxBufferSize}; use a shorter context, a smaller cache type or a smaller model`,
      );
    }
    let buffer: StoredBuffer | null = null;
    const explain = (failure: GpuFailure, message: string): GpuError => {
      buffer?.destroy();
      return this.#explain(failure, message, label, size);
    };
    const handle = this.#gpu.failures.guard(explain, () => this.#gpu.device.createBuffer({ label, size, usage }));
    buffer = new StoredBuffer(this.#nextId++, label, size, handle, (gone) => {
      this.#forget(gone);
    });
    this.#releases.set(buffer, this.#memory.allocated(category, label, size));
    return buffer;
  }

  [Symbol.dispose](): void {
    for (const buffer of [...this.#releases.keys()]) buffer.destroy();
  }

  #forget(buffer: StoredBuffer): void {
    for (const finish of this.#beforeDestroy) finish(buffer);
    buffer.handle.destroy();
    this.#releases.get(buffer)?.();
    this.#releases.delete(buffer);
  }

  #explain(failure: GpuFailure, message: string, label: string, size: number): GpuError {
    if (failure !== "out-of-memory") return new GpuError(failure, `the buffer "${label}": ${message}`);
    const { total } = this.#memory.snapshot();
    return new GpuError(
      "out-of-memory",
      `${this.#gpu.adapter.name} has no memory for "${label}", ${size} bytes beside the ${total} in use; ` +
        "use a shorter context, a smaller cache type (--kv-type q8) or a smaller model",
    );
  }
}
