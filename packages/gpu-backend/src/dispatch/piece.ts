import type { GpuTensor } from "../buffers/gpu-tensor";
import type { GpuLimits } from "../device/limits";
import { elementBytes, storable } from "../buffers/elements";
import { part, whole, type BufferBinding } from "./binding";

/** Consecutive elements of a tensor that may be too large to be bound whole. */
export interface Piece {
  readonly binding: BufferBinding;
  /** Elements of the binding before the first that was asked for; a multiple of four where that one's number is. */
  readonly skip: number;
}

/** The whole tensor wherever it fits, so that the bind group stays the same; else the aligned part around the elements. */
export function pieceOf(tensor: GpuTensor, first: number, count: number, limits: GpuLimits): Piece {
  if (tensor.buffer.bytes <= limits.maxStorageBufferBindingSize) return { binding: whole(tensor), skip: first };
  const size = elementBytes(storable(tensor.dtype, tensor.label));
  const alignment = limits.minStorageBufferOffsetAlignment;
  const start = Math.floor((first * size) / alignment) * alignment;
  const end = Math.min(tensor.buffer.bytes, Math.ceil(((first + count) * size) / 4) * 4);
  return { binding: part(tensor, start, end - start), skip: first - start / size };
}

/** Rows of so many elements that one piece may have, wherever it starts; at least one. */
export function rowsOfPiece(tensor: GpuTensor, width: number, limits: GpuLimits): number {
  const size = elementBytes(storable(tensor.dtype, tensor.label));
  const room = limits.maxStorageBufferBindingSize - limits.minStorageBufferOffsetAlignment - 4;
  return Math.max(1, Math.floor(room / (width * size)));
}
