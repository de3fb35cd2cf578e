import { BufferUsage, MapMode } from "../device/flags";
import type { BufferStore } from "./buffer-store";
import type { StoredBuffer } from "./stored-buffer";

/** Buffers kept for the next readback; a decoder has two or three under way at most. */
const RING = 3;
const MIN_STAGING_BYTES = 4096;
/** Larger ones, such as a whole mass table's, are rare: they are destroyed after use. */
const MAX_KEPT_BYTES = 2 ** 20;
const COPY_ALIGNMENT = 4;

/** Bytes of a buffer to read back. */
export interface ReadbackPart {
  readonly buffer: StoredBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Copies that are recorded, and whose bytes can be awaited once they are submitted. */
export interface Readback {
  /** The parts' bytes, copied, in order. To be called once, after the submission. */
  bytes(): Promise<readonly ArrayBuffer[]>;
}

/** The buffers through which bytes come back: a device's own memory cannot be read by the host. */
export class StagingRing {
  readonly #store: BufferStore;
  readonly #idle: StoredBuffer[] = [];

  constructor(store: BufferStore) {
    this.#store = store;
  }

  /** Record the copies of some parts into one staging buffer. */
  copy(encoder: GPUCommandEncoder, parts: readonly ReadbackPart[]): Readback {
    const spans: { start: number; skip: number; bytes: number }[] = [];
    let used = 0;
    const copies = parts.map(({ buffer, offset, bytes }) => {
      // Copies go by whole words; halves may begin and end in the middle of one.
      const from = offset - (offset % COPY_ALIGNMENT);
      const size = Math.ceil((offset + bytes - from) / COPY_ALIGNMENT) * COPY_ALIGNMENT;
      spans.push({ start: used, skip: offset - from, bytes });
      const copy = { buffer, from, to: used, size };
      used += size;
      return copy;
    });
    const staging = this.#take(used);
    for (const { buffer, from, to, size } of copies) {
      if (size > 0) encoder.copyBufferToBuffer(buffer.handle, from, staging.handle, to, size);
    }
    return {
      bytes: async () => {
        try {
          await staging.handle.mapAsync(MapMode.read);
          const mapped = staging.handle.getMappedRange();
          return spans.map(({ start, skip, bytes }) => mapped.slice(start + skip, start + skip + bytes));
        } finally {
          this.#giveBack(staging);
        }
      },
    };
  }

  #take(bytes: number): StoredBuffer {
    const fitting = this.#idle.findIndex((buffer) => buffer.bytes >= bytes);
    const [kept] = fitting === -1 ? [] : this.#idle.splice(fitting, 1);
    return (
      kept ??
      this.#store.create({
        label: "readback",
        category: "activations",
        bytes: Math.max(MIN_STAGING_BYTES, 2 ** Math.ceil(Math.log2(Math.max(1, bytes)))),
        usage: BufferUsage.mapRead | BufferUsage.copyTarget,
      })
    );
  }

  #giveBack(staging: StoredBuffer): void {
    if (staging.destroyed) return;
    staging.handle.unmap();
    if (staging.bytes > MAX_KEPT_BYTES) {
      staging.destroy();
      return;
    }
    // The largest are kept: they serve every size.
    this.#idle.push(staging);
    this.#idle.sort((a, b) => a.bytes - b.bytes);
    if (this.#idle.length > RING) this.#idle.shift()?.destroy();
  }
}
