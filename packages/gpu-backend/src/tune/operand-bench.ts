import { tensorBytes, type DeviceTensor, type DType, type Shape } from "@winnow/core-tensor";

import type { Gpu } from "../device/gpu";
import type { Workbench } from "./kernel-family";

/** More than the caches of a GPU hold, and of a CPU. */
const COLD_BYTES = { device: 2 ** 27, software: 2 ** 26 };
const MOST_COPIES = 8;

/** What {@link OperandBench} needs of a backend. */
export interface OperandMemory {
  readonly gpu: Gpu;
  allocate(dtype: DType, shape: Shape): DeviceTensor;
  write(target: DeviceTensor, bytes: Uint8Array): void;
  /** What a tensor of floats holds. */
  read(source: DeviceTensor): Promise<Float32Array>;
}

/** Operands for the candidates of one shape; disposing it frees them. */
export class OperandBench implements Workbench, Disposable {
  readonly software: boolean;
  readonly capabilities: Workbench["capabilities"];
  readonly #memory: OperandMemory;
  readonly #made: DeviceTensor[] = [];
  readonly #results: DeviceTensor[] = [];

  constructor(memory: OperandMemory) {
    this.#memory = memory;
    this.software = memory.gpu.adapter.software !== null;
    this.capabilities = memory.gpu.capabilities;
  }

  allocate(dtype: DType, shape: Shape): DeviceTensor {
    const tensor = this.#memory.allocate(dtype, shape);
    this.#made.push(tensor);
    this.#memory.write(tensor, finiteBytes(tensorBytes(dtype, shape)));
    return tensor;
  }

  result(shape: Shape): DeviceTensor {
    const tensor = this.#memory.allocate("f32", shape);
    this.#made.push(tensor);
    this.#results.push(tensor);
    return tensor;
  }

  /** Make results into what no candidate computes, so that one that computes nothing is found out. */
  forgetResults(): void {
    for (const tensor of this.#results) {
      this.#memory.write(
        tensor,
        new Uint8Array(new Float32Array(tensorBytes("f32", tensor.shape) / 4).fill(NaN).buffer),
      );
    }
  }

  readResults(): Promise<readonly Float32Array[]> {
    return Promise.all(this.#results.map((tensor) => this.#memory.read(tensor)));
  }

  copies(bytes: number): number {
    const cold = this.software ? COLD_BYTES.software : COLD_BYTES.device;
    return Math.min(MOST_COPIES, Math.ceil(cold / Math.max(1, bytes)));
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#made.splice(0)) tensor[Symbol.dispose]();
  }
}

/**
 * Bytes that are finite numbers whether they are read as f32, as halves or as quantised rows: of each half, the sign and the
 * fraction are random and the exponent is that of a half.
 */
function finiteBytes(bytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    // Xorshift (Marsaglia, 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = (state & 0x83ff83ff) | 0x38003800;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}
