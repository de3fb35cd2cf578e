import { tensorBytes, WinnowError, type DeviceTensor, type DType, type Shape } from "@winnow/core-tensor";

import type { StoredBuffer } from "./stored-buffer";

/** A tensor of this backend: one buffer of its own. Halves lie two in a word, as they come from files. */
export class GpuTensor implements DeviceTensor {
  readonly id: number;
  readonly label: string;
  readonly bytes: number;
  readonly #buffer: StoredBuffer;

  constructor(
    buffer: StoredBuffer,
    readonly dtype: DType,
    readonly shape: Shape,
    private readonly onDispose: (tensor: GpuTensor) => void,
  ) {
    this.#buffer = buffer;
    this.id = buffer.id;
    this.label = buffer.label;
    this.bytes = tensorBytes(dtype, shape);
  }

  get disposed(): boolean {
    return this.#buffer.destroyed;
  }

  /** @throws WinnowError `disposed` */
  get buffer(): StoredBuffer {
    if (this.#buffer.destroyed) {
      throw new WinnowError("disposed", `the tensor "${this.label}" is used after it was disposed`);
    }
    return this.#buffer;
  }

  [Symbol.dispose](): void {
    if (this.#buffer.destroyed) return;
    this.onDispose(this);
    this.#buffer.destroy();
  }
}

/**
 * The tensor behind a handle.
 *
 * @throws WinnowError `backend` where it is another backend's, `disposed`
 */
export function gpuTensor(handle: DeviceTensor): GpuTensor {
  if (!(handle instanceof GpuTensor)) {
    throw new WinnowError("backend", `the tensor "${handle.label}" belongs to another backend; upload it to this one`);
  }
  if (handle.disposed) throw new WinnowError("disposed", `the tensor "${handle.label}" is used after it was disposed`);
  return handle;
}
