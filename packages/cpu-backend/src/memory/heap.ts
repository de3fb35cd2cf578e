import { WinnowError } from "@winnow/core-tensor";

import type { Address } from "../kernels";

/** Of WebAssembly's memory; it grows by whole ones. */
const PAGE_BYTES = 65_536;
/** A cache line's. */
const ALIGNMENT = 64;

interface Block {
  readonly at: Address;
  readonly bytes: number;
}

/** Beside no block. */
const NOWHERE: Block = { at: -1, bytes: 0 };

/**
 * Blocks of one WebAssembly memory, which grows when none of the free ones is large enough. What is given back joins the free
 * blocks beside it, and serves the next who asks; the memory itself never shrinks, for WebAssembly has no way to.
 */
export class Heap {
  /** Free blocks in order, none beside another. */
  #free: Block[] = [];
  readonly #used = new Map<Address, number>();
  #usedBytes = 0;
  #end: Address;

  constructor(
    private readonly memory: WebAssembly.Memory,
    base: Address,
    private readonly mostBytes: number,
  ) {
    this.#end = roundUp(base, ALIGNMENT);
    const end = memory.buffer.byteLength;
    if (end > this.#end) this.#free.push({ at: this.#end, bytes: end - this.#end });
    this.#end = end;
  }

  /** Bytes of blocks in use. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * A block of at least so many bytes, at a multiple of 64; what it holds is undefined.
   *
   * @param label of what it is for, in the error's message.
   * @throws WinnowError `memory` where the memory cannot grow so far.
   */
  allocate(bytes: number, label: string): Address {
    const needed = Math.max(ALIGNMENT, roundUp(bytes, ALIGNMENT));
    // The smallest that is large enough leaves the large ones whole.
    let best = -1;
    for (const [i, block] of this.#free.entries()) {
      if (block.bytes >= needed && (best < 0 || block.bytes < (this.#free[best]?.bytes ?? 0))) best = i;
    }
    const found = this.#free[best];
    if (found === undefined) {
      this.#grow(needed, bytes, label);
      return this.allocate(bytes, label);
    }
    const rest = { at: found.at + needed, bytes: found.bytes - needed };
    this.#free.splice(best, 1, ...(rest.bytes > 0 ? [rest] : []));
    this.#used.set(found.at, needed);
    this.#usedBytes += needed;
    return found.at;
  }

  /** Give a block back. */
  free(at: Address): void {
    const bytes = this.#used.get(at);
    if (bytes === undefined) throw new WinnowError("disposed", `the block at ${at} is given back twice`);
    this.#used.delete(at);
    this.#usedBytes -= bytes;
    this.#addFree({ at, bytes });
  }

  #addFree({ at, bytes }: Block): void {
    let index = this.#free.findIndex((block) => block.at > at);
    if (index < 0) index = this.#free.length;
    const before = this.#free[index - 1] ?? NOWHERE;
    const after = this.#free[index] ?? NOWHERE;
    const joinsBefore = endOf(before) === at;
    const joinsAfter = at + bytes === after.at;
    const start = joinsBefore ? before.at : at;
    const end = joinsAfter ? endOf(after) : at + bytes;
    const first = index - (joinsBefore ? 1 : 0);
    this.#free.splice(first, (joinsBefore ? 1 : 0) + (joinsAfter ? 1 : 0), { at: start, bytes: end - start });
  }

  #grow(needed: number, asked: number, label: string): void {
    const last = this.#free.at(-1) ?? NOWHERE;
    const atEnd = endOf(last) === this.#end ? last.bytes : 0;
    const pages = Math.ceil((needed - atEnd) / PAGE_BYTES);
    try {
      this.memory.grow(pages);
    } catch (cause) {
      throw new WinnowError(
        "memory",
        `no memory for "${label}": ${asked} bytes, beside ${this.#usedBytes} in use of the ${this.mostBytes / 2 ** 30} GiB that ` +
          `the CPU backend addresses here; use a smaller context, a quantised model or cache, or WebGPU`,
        { cause },
      );
    }
    const end = this.memory.buffer.byteLength;
    this.#addFree({ at: this.#end, bytes: end - this.#end });
    this.#end = end;
  }
}

function endOf({ at, bytes }: Block): Address {
  return at + bytes;
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
