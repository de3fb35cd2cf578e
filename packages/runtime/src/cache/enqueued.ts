import type { DeviceTensor } from "@winnow/core-tensor";

/** Work on a cache that is enqueued: what it comes to is known one token late, when its numbers have been read. */
export interface Enqueued {
  readonly numbers: DeviceTensor;
  /** Take note of what it came to; further rows may have been appended meanwhile. */
  settle(numbers: ArrayLike<number>): void;
}
