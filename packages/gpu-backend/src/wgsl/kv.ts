import { WinnowError, type DType, type KvType } from "@winnow/core-tensor";

import type { GpuTensor } from "../buffers/gpu-tensor";
import { scalarReader } from "./elements";
import { unpackedQ8 } from "./q8";

/** What slabs hold: floats, or the words of rows in q8. */
export const SLAB_TYPES = ["f32", "f16", "u32"] as const satisfies readonly DType[];

/** Types of a cache whose elements are stored one by one. */
export type PlainKvType = Exclude<KvType, "q8">;

/** @throws WinnowError `dtype` for what is no type of a cache. */
export function kvTypeOf({ dtype, label }: GpuTensor): KvType {
  switch (dtype) {
    case "f32":
    case "f16":
      return dtype;
    case "u32":
      return "q8";
    default:
      throw new WinnowError("dtype", `slab "${label}" holds ${dtype}, expected ${SLAB_TYPES.join(" or ")}`);
  }
}

/** Types of a scratch. */
export const SCRATCH_TYPES = ["f32", "f16"] as const satisfies readonly DType[];

/** @throws WinnowError `dtype` for what is no type of a scratch. */
export function scratchTypeOf({ dtype, label }: GpuTensor): PlainKvType {
  const found = SCRATCH_TYPES.find((type) => type === dtype);
  if (found !== undefined) return found;
  throw new WinnowError("dtype", `scratch "${label}" holds ${dtype}, expected ${SCRATCH_TYPES.join(" or ")}`);
}

/** How a kernel reads the rows of pages, vector by vector: what it reads is multiplied by the row's scale. */
export interface KvVectors {
  /** The variable's WGSL type. */
  readonly type: string;
  /** Vectors from one row to the next. */
  readonly stride: number;
  /** An expression: vector number `index` in f32, before its row's scale. */
  readonly read: (index: string) => string;
  /** An expression: the scale of the row that begins at vector `row`. */
  readonly scale: (row: string) => string;
}

/**
 * @param width elements of a vector.
 * @param units vectors of a row.
 * @throws WinnowError `dtype` where vectors of this width do not fill whole words.
 */
export function kvVectors(variable: string, kvType: KvType, width: 1 | 2 | 4, units: number): KvVectors {
  if (kvType !== "q8") {
    const { type, read } = plainVectors(variable, kvType, width);
    return { type, stride: units, read, scale: () => "1.0" };
  }
  if (width !== 4) throw wholeWords(kvType);
  return {
    type: "array<u32>",
    stride: units + 1,
    read: (index) => unpackedQ8(`${variable}[${index}]`),
    scale: (row) => `bitcast<f32>(${variable}[${row} + ${units}u])`,
  };
}

/** How a kernel reads and writes vectors of pages whose elements are stored one by one. */
export interface PlainVectors {
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
export function plainVectors(variable: string, kvType: PlainKvType, width: 1 | 2 | 4): PlainVectors {
  if (kvType === "f32") {
    return {
      type: `array<${width === 1 ? "f32" : `vec${width}f`}>`,
      read: (index) => `${variable}[${index}]`,
      write: (index, value) => `${variable}[${index}] = ${value};`,
    };
  }
  if (width === 1) throw wholeWords(kvType);
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

/** How a kernel reads the rows of pages, element by element. The shader's `Params` have `head_dim`. */
export interface KvElements {
  /** The variable's WGSL type. */
  readonly type: string;
  /** Functions that `read` calls. */
  readonly declarations: string;
  /** An expression: where row number `row` begins, for `read`. */
  readonly begin: (row: string) => string;
  /** An expression: an element, in f32, of the row that begins there. */
  readonly read: (begin: string, element: string) => string;
}

export function kvElements(variable: string, kvType: KvType): KvElements {
  if (kvType !== "q8") {
    const reader = scalarReader(variable, kvType);
    return {
      type: reader.type,
      declarations: reader.declarations,
      begin: (row) => `(${row}) * params.head_dim`,
      read: (begin, element) => reader.read(`${begin} + ${element}`),
    };
  }
  return {
    type: "array<u32>",
    declarations: `fn ${variable}_at(row: u32, element: u32) -> f32 {
  let byte = extractBits(bitcast<i32>(${variable}[row + element / 4u]), element % 4u * 8u, 8u);
  return f32(byte) * bitcast<f32>(${variable}[row + params.head_dim / 4u]);
}`,
    begin: (row) => `(${row}) * (params.head_dim / 4u + 1u)`,
    read: (begin, element) => `${variable}_at(${begin}, ${element})`,
  };
}

function wholeWords(kvType: KvType): WinnowError {
  return new WinnowError(
    "dtype",
    `a cache in ${kvType} needs heads whose size is a multiple of four; use f32 for this model`,
  );
}
