import { WinnowError, type Backend } from "@winnow/core-tensor";

/** Bytes that all caches of a backend may take together, as its allocator counts them. */
export class KvBudget {
  constructor(
    private readonly backend: Backend,
    /** Infinity for no limit. */
    readonly bytes: number,
  ) {
    if (Number.isNaN(bytes) || bytes <= 0) {
      throw new WinnowError("usage", `a KV budget of ${bytes} bytes; expected more than 0`);
    }
  }

  /** Bytes of every buffer of a cache: slabs, columns, tables, scratch. */
  get used(): number {
    return this.backend.memory.snapshot().kv;
  }

  fits(bytes: number): boolean {
    return this.bytes === Infinity || this.used + bytes <= this.bytes;
  }

  /** @throws WinnowError `memory` when so many more bytes do not fit. */
  expectRoom(bytes: number): void {
    if (!this.fits(bytes)) throw overBudget(this.bytes);
  }
}

/** What a prompt or an answer is told that does not fit even alone. */
export function overBudget(bytes: number): WinnowError {
  return new WinnowError(
    "memory",
    `the cache would need more than the KV budget of ${bytes} bytes; raise the budget, shorten the prompt, or use a policy that keeps less`,
  );
}
