import type { DeviceTensor, Rows } from "../device-tensor";
import type { DType } from "../dtype";
import { WinnowError } from "../errors";
import { elementCount, type Shape } from "../shape";
import type { CpuArray, CpuMemory } from "./cpu-memory";

/** A tensor whose memory the CPU reaches. */
export class CpuTensor implements DeviceTensor {
  #memory: CpuMemory | null;

  constructor(
    readonly id: number,
    readonly label: string,
    readonly dtype: DType,
    readonly shape: Shape,
    readonly bytes: number,
    memory: CpuMemory,
    private readonly onDispose: (tensor: CpuTensor) => void,
  ) {
    this.#memory = memory;
  }

  get disposed(): boolean {
    return this.#memory === null;
  }

  get data(): CpuArray {
    if (this.#memory === null)
      throw new WinnowError("disposed", `the tensor "${this.label}" is used after it was disposed`);
    return this.#memory.data;
  }

  [Symbol.dispose](): void {
    const memory = this.#memory;
    if (memory === null) return;
    this.#memory = null;
    memory.release();
    this.onDispose(this);
  }
}

/** The memory behind a handle, which has to be a CPU backend's. */
export function dataOf(tensor: DeviceTensor): CpuArray {
  if (!(tensor instanceof CpuTensor)) {
    throw new WinnowError("backend", `the tensor "${tensor.label}" belongs to another backend; upload it to this one`);
  }
  return tensor.data;
}

/** @throws WinnowError `dtype` unless the tensor holds f32. */
export function f32Of(tensor: DeviceTensor): Float32Array {
  const data = dataOf(tensor);
  if (!(data instanceof Float32Array))
    throw new WinnowError("dtype", `"${tensor.label}" holds ${tensor.dtype}, expected f32`);
  return data;
}

/** @throws WinnowError `dtype` unless the tensor holds u32. */
export function u32Of(tensor: DeviceTensor): Uint32Array {
  const data = dataOf(tensor);
  if (!(data instanceof Uint32Array))
    throw new WinnowError("dtype", `"${tensor.label}" holds ${tensor.dtype}, expected u32`);
  return data;
}

/** Elements of one row: everything behind the first dimension. */
export function widthOf(tensor: DeviceTensor): number {
  return elementCount(tensor.shape.slice(1));
}

/** The rows' elements, checked to lie within their tensor. */
export function f32Rows(operation: string, operand: string, rows: Rows): Float32Array {
  const { start, end } = rowSpan(operation, operand, rows);
  return f32Of(rows.tensor).subarray(start, end);
}

export function u32Rows(operation: string, operand: string, rows: Rows): Uint32Array {
  const { start, end } = rowSpan(operation, operand, rows);
  return u32Of(rows.tensor).subarray(start, end);
}

function rowSpan(operation: string, operand: string, rows: Rows): { start: number; end: number } {
  const available = rows.tensor.shape[0] ?? 0;
  if (rows.start < 0 || rows.count < 0 || rows.start + rows.count > available) {
    throw new WinnowError(
      "range",
      `${operation}: ${operand} "${rows.tensor.label}" has ${available} rows, asked for ${rows.start} to ${rows.start + rows.count}`,
    );
  }
  const width = widthOf(rows.tensor);
  return { start: rows.start * width, end: (rows.start + rows.count) * width };
}
