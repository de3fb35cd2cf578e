import { WinnowError } from "@winnow/core-tensor";

import type { GpuTensor } from "../buffers/gpu-tensor";
import type { StoredBuffer } from "../buffers/stored-buffer";

/** What a storage variable of a kernel is bound to. */
export type Binding = BufferBinding | ScratchBinding;

export interface BufferBinding {
  readonly kind: "buffer";
  readonly buffer: StoredBuffer;
  /** In bytes, a multiple of `minStorageBufferOffsetAlignment`. */
  readonly offset: number;
  readonly bytes: number;
}

/** Memory that the dispatches of one plan share under a name, and that no other operation sees. */
export interface ScratchBinding {
  readonly kind: "scratch";
  readonly name: string;
  readonly bytes: number;
}

/**
 * All of a tensor. Bind the whole wherever it fits and pass where rows begin as a parameter: then the bind group is the
 * same for every row, and is found again.
 */
export function whole({ buffer }: GpuTensor): BufferBinding {
  return { kind: "buffer", buffer, offset: 0, bytes: buffer.bytes };
}

/** A part of a tensor, for one that is larger than a binding may be. See `pieceOf`. */
export function part({ buffer, label }: GpuTensor, offset: number, bytes: number): BufferBinding {
  if (offset < 0 || offset + bytes > buffer.bytes) {
    throw new WinnowError("range", `bytes ${offset} to ${offset + bytes} of "${label}", which has ${buffer.bytes}`);
  }
  return { kind: "buffer", buffer, offset, bytes };
}

/** Partial results from one dispatch of a plan to a later one. The greatest `bytes` asked for under a name counts. */
export function scratch(name: string, bytes: number): ScratchBinding {
  return { kind: "scratch", name, bytes };
}
