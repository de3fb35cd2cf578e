import { WinnowError } from "@winnow/core-tensor";

import type { GpuTensor } from "../buffers/gpu-tensor";

/** How keys and values are stored in pages: f32, or halves two to a word, which needs no feature of the device. */
export const KV_TYPES = ["f32", "f16"] as const;
export type KvStorage = (typeof KV_TYPES)[number];

/** @throws WinnowError `dtype` for what is no type of a cache. */
export function kvStorage({ dtype, label }: GpuTensor): KvStorage {
  const found = KV_TYPES.find((type) => type === dtype);
  if (found === undefined)
    throw new WinnowError("dtype", `slab "${label}" holds ${dtype}, expected ${KV_TYPES.join(" or ")}`);
  return found;
}

/** How a kernel reads and writes vectors of pages, whatever their type. */
export interface KvVectors {
  /** The variable's WGSL type. */
  readonly type: string;
  /** An expression: vector number `index` in f32. */
  readonly read: (index: string) => string;
  /** A statement that stores a vector. */
  readonly write: (index: string, value: string) => string;
}

/**
 * @param width elements of a vector.
 * @throws WinnowError `dtype` for single halves: two share a word, and two threads would write it.
 */
export function kvVectors(variable: string, storage: KvStorage, width: 1 | 2 | 4): KvVectors {
  if (storage === "f32") {
    return {
      type: `array<${width === 1 ? "f32" : `vec${width}f`}>`,
      read: (index) => `${variable}[${index}]`,
      write: (index, value) => `${variable}[${index}] = ${value};`,
    };
  }
  if (width === 1) {
    throw new WinnowError(
      "dtype",
      "a cache in f16 needs heads whose size is a multiple of four; use f32 for this model",
    );
  }
  if (width === 2) {
    return {
      type: "array<u32>",
      read: (index) => `unpack2x16float(${variable}[${index}])`,
      write: (index, value) => `${variable}[${index}] = pack2x16float(${value});`,
    };
  }
  return {
    type: "array<vec2u>",
    read: (index) => `vec4f(unpack2x16float(${variable}[${index}].x), unpack2x16float(${variable}[${index}].y))`,
    write: (index, value) =>
      `${variable}[${index}] = vec2u(pack2x16float((${value}).xy), pack2x16float((${value}).zw));`,
  };
}
