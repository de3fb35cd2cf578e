import { BufferUsage } from "../device/flags";
import type { BufferStore } from "./buffer-store";
import type { StoredBuffer } from "./stored-buffer";

const MIN_SCRATCH_BYTES = 4096;
/** Above this, sizes are rounded to its multiples and not to powers of two, which would waste up to half. */
const MAX_POWER_BYTES = 2 ** 24;

/**
 * Memory for what one operation leaves to the next dispatch of its own, such as partial results. Dispatches run in
 * order, so the same buffers serve every operation, and after the first ones nothing is allocated. Their contents are
 * whatever the last user left.
 */
export class ScratchPool {
  readonly #store: BufferStore;
  readonly #idle = new Map<number, StoredBuffer[]>();

  constructor(store: BufferStore) {
    this.#store = store;
  }

  /** A buffer of at least so many bytes. The last given back comes first, so that bind groups are found again. */
  take(bytes: number): StoredBuffer {
    const size = sizeClass(bytes);
    return (
      this.#idle.get(size)?.pop() ??
      this.#store.create({
        label: "scratch",
        category: "activations",
        bytes: size,
        usage: BufferUsage.storage | BufferUsage.copySource | BufferUsage.copyTarget,
      })
    );
  }

  giveBack(buffer: StoredBuffer): void {
    if (buffer.destroyed) return;
    const idle = this.#idle.get(buffer.bytes);
    if (idle === undefined) this.#idle.set(buffer.bytes, [buffer]);
    else idle.push(buffer);
  }

  /** Destroy what nobody uses: after a long prompt, decoding needs far less. */
  trim(): void {
    for (const buffers of this.#idle.values()) for (const buffer of buffers) buffer.destroy();
    this.#idle.clear();
  }
}

/** The size of the buffer that serves a need, so that a few buffers serve many needs. */
export function sizeClass(bytes: number): number {
  if (bytes > MAX_POWER_BYTES) return Math.ceil(bytes / MAX_POWER_BYTES) * MAX_POWER_BYTES;
  return Math.max(MIN_SCRATCH_BYTES, 2 ** Math.ceil(Math.log2(Math.max(1, bytes))));
}
