import type { Address } from "../kernels";
import type { Heap } from "./heap";

/** Memory that an operation works in: it is as large as any has needed, and the next one overwrites it. */
export class WorkMemory {
  #at: Address = 0;
  #bytes = 0;

  constructor(
    private readonly heap: Heap,
    private readonly memory: WebAssembly.Memory,
    private readonly label: string,
  ) {}

  /**
   * Several parts beside each other, each of at least so many bytes.
   *
   * @returns where each begins. Those of an earlier call are no longer valid.
   */
  reserve(...parts: readonly number[]): Address[] {
    let end = 0;
    for (const bytes of parts) end += spaceOf(bytes);
    if (end > this.#bytes) {
      if (this.#bytes > 0) this.heap.free(this.#at);
      // Longer rows come one by one: not every one should mean a larger block.
      this.#bytes = 0;
      this.#at = this.heap.allocate(end * 1.5, this.label);
      this.#bytes = end * 1.5;
    }
    const starts: Address[] = [];
    let at = this.#at;
    for (const bytes of parts) {
      starts.push(at);
      at += spaceOf(bytes);
    }
    return starts;
  }

  floats(at: Address, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, count);
  }

  words(at: Address, count: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, at, count);
  }

  bytes(at: Address, count: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, count);
  }
}

/** Vectors are read and written whole, beyond the end of what is asked for. */
function spaceOf(bytes: number): number {
  return Math.ceil(bytes / 64 + 1) * 64;
}
