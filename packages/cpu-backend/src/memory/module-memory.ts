import { WinnowError, type DType, type Shape } from "@winnow/core-tensor";
import type { CpuArray, CpuMemory } from "@winnow/core-tensor/cpu";

import type { Address } from "../kernels";
import { HOLDING } from "../weight-form";
import type { Heap } from "./heap";

const PAGE_BYTES = 65_536;
const FIRST_PAGES = 256;
/** 4 GiB is what 32-bit addresses reach; where so much address space is not to be had, less will do. */
const MOST_PAGES = [65_536, 32_768, 16_384];

/**
 * A memory that threads share, as large as there is address space for.
 *
 * @throws WinnowError `memory` where there is none for a quarter of it.
 */
export function sharedMemory(): { readonly memory: WebAssembly.Memory; readonly mostBytes: number } {
  let refusal: unknown;
  for (const maximum of MOST_PAGES) {
    try {
      const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum, shared: true });
      return { memory, mostBytes: maximum * PAGE_BYTES };
    } catch (error) {
      refusal = error;
    }
  }
  throw new WinnowError("memory", "no address space for the CPU backend's memory; use the reference", {
    cause: refusal,
  });
}

/** The kernels' memory: blocks of it that tensors lie in, and where they begin. */
export class ModuleMemory {
  /** A memory that grows has another buffer, and older views theirs. */
  readonly #buffers = new WeakSet<ArrayBufferLike>();

  constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly heap: Heap,
  ) {}

  /** A block for a tensor that is held as this type; what it holds is undefined. */
  tensor(dtype: DType, shape: Shape, label: string): CpuMemory {
    const at = this.heap.allocate(HOLDING.bytesOf(dtype, shape), label);
    return {
      data: this.#view(dtype, shape, at),
      release: () => {
        this.heap.free(at);
      },
    };
  }

  /**
   * Where a tensor's elements begin.
   *
   * @throws WinnowError `backend` for memory of another backend, which no kernel reaches.
   */
  addressOf(data: CpuArray): Address {
    if (this.#buffers.has(data.buffer)) return data.byteOffset;
    throw new WinnowError("backend", "a tensor belongs to another backend; upload it to this one");
  }

  #view(dtype: DType, shape: Shape, at: Address): CpuArray {
    const { buffer } = this.memory;
    this.#buffers.add(buffer);
    const bytes = HOLDING.bytesOf(dtype, shape);
    switch (dtype) {
      case "f32":
        return new Float32Array(buffer, at, bytes / 4);
      case "i32":
        return new Int32Array(buffer, at, bytes / 4);
      case "f16":
      case "bf16":
        return new Uint16Array(buffer, at, bytes / 2);
      default:
        return new Uint32Array(buffer, at, bytes / 4);
    }
  }
}
