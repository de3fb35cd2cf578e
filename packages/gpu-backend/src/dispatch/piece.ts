import type { GpuTensor } from "../buffers/gpu-tensor";
import type { GpuLimits } from "../device/limits";
import { part, whole, type BufferBinding } from "./binding";

/** Consecutive rows of a tensor that may be too large to be bound whole. */
export interface Piece {
  readonly binding: BufferBinding;
  /** Bytes of the binding before the first row that was asked for. */
  readonly skip: number;
}

/** The whole tensor wherever it fits, so that the bind group stays the same; else the aligned part around the rows. */
export function pieceOf(tensor: GpuTensor, first: number, count: number, limits: GpuLimits): Piece {
  const size = rowBytes(tensor);
  if (tensor.buffer.bytes <= limits.maxStorageBufferBindingSize) return { binding: whole(tensor), skip: first * size };
  const alignment = limits.minStorageBufferOffsetAlignment;
  const start = Math.floor((first * size) / alignment) * alignment;
  const end = Math.min(tensor.buffer.bytes, Math.ceil(((first + count) * size) / 4) * 4);
  return { binding: part(tensor, start, end - start), skip: first * size - start };
}

/** Rows that one piece may have, wherever it starts; at least one. */
export function rowsOfPiece(tensor: GpuTensor, limits: GpuLimits): number {
  const room = limits.maxStorageBufferBindingSize - limits.minStorageBufferOffsetAlignment - 4;
  return Math.max(1, Math.floor(room / rowBytes(tensor)));
}

function rowBytes({ bytes, shape }: GpuTensor): number {
  return bytes / Math.max(1, shape[0] ?? 0);
}
