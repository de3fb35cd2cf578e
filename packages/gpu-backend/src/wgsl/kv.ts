import {
  QUANTISED_KV_FORMS,
  WinnowError,
  isQuantisedKv,
  kvTypeOfRow,
  type DType,
  type KvType,
  type QuantisedKvType,
} from "@winnow/core-tensor";

import type { GpuTensor } from "../buffers/gpu-tensor";
import { scalarReader } from "./elements";
import { foursOf, unpackedFour } from "./quantised-kv";

/** What slabs hold: floats, or the words of quantised rows. */
export const SLAB_TYPES = ["f32", "f16", "u32"] as const satisfies readonly DType[];

/** Types of a cache whose elements are stored one by one. */
export type PlainKvType = Exclude<KvType, QuantisedKvType>;

/**
 * @param slab its last dimension is a row.
 * @throws WinnowError `dtype` for what is no type of a cache.
 */
export function kvTypeOf({ dtype, shape }: GpuTensor, headDim: number): KvType {
  return kvTypeOfRow({ dtype, width: shape.at(-1) ?? 0 }, headDim);
}

/** Types of a scratch. */
export const SCRATCH_TYPES = ["f32", "f16"] as const satisfies readonly DType[];

/** @throws WinnowError `dtype` for what is no type of a scratch. */
export function scratchTypeOf({ dtype, label }: GpuTensor): PlainKvType {
  const found = SCRATCH_TYPES.find((type) => type === dtype);
  if (found !== undefined) return found;
  throw new WinnowError("dtype", `scratch "${label}" holds ${dtype}, expected ${SCRATCH_TYPES.join(" or ")}`);
}

/** How a kernel reads the rows of pages, vector by vector: what it reads is multiplied by the row's scale, where it has one. */
export interface KvVectors {
  /** The variable's WGSL type. */
  readonly type: string;
  /** Elements of the variable from one row to the next. */
  readonly stride: number;
  /** An expression: vector number `unit` of the row that begins at element `row`, in f32, before the row's scale. */
  readonly read: (row: string, unit: string) => string;
  /** An expression: the scale of the row that begins at element `row`. */
  readonly scale: (row: string) => string;
}

/**
 * @param width elements of a vector.
 * @param units vectors of a row.
 * @throws WinnowError `dtype` where vectors of this width do not fill whole words.
 */
export function kvVectors(variable: string, kvType: KvType, width: 1 | 2 | 4, units: number): KvVectors {
  if (!isQuantisedKv(kvType)) {
    const { type, read } = plainVectors(variable, kvType, width);
    return { type, stride: units, read: (row, unit) => read(`${row} + ${unit}`), scale: () => "1.0" };
  }
  if (width !== 4) throw wholeWords(kvType);
  const { perWord, perScale } = foursOf(kvType);
  const words = units / perWord;
  const four = (row: string, unit: string): string =>
    unpackedFour(kvType, `${variable}[${row} + (${unit}) / ${perWord}u]`, unit);
  const scale = (at: string): string => `bitcast<f32>(${variable}[${at}])`;
  if (perScale === null)
    return { type: "array<u32>", stride: words + 1, read: four, scale: (row) => scale(`${row} + ${words}u`) };
  return {
    type: "array<u32>",
    stride: words + units / perScale,
    read: (row, unit) => `(${four(row, unit)} * ${scale(`${row} + ${words}u + (${unit}) / ${perScale}u`)})`,
    scale: () => "1.0",
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
  if (!isQuantisedKv(kvType)) {
    const reader = scalarReader(variable, kvType);
    return {
      type: reader.type,
      declarations: reader.declarations,
      begin: (row) => `(${row}) * params.head_dim`,
      read: (begin, element) => reader.read(`${begin} + ${element}`),
    };
  }
  const { bits, group } = QUANTISED_KV_FORMS[kvType];
  const perWord = 32 / bits;
  return {
    type: "array<u32>",
    declarations: `fn ${variable}_at(row: u32, element: u32) -> f32 {
  let whole = extractBits(bitcast<i32>(${variable}[row + element / ${perWord}u]), element % ${perWord}u * ${bits}u, ${bits}u);
  return f32(whole) * bitcast<f32>(${variable}[row + params.head_dim / ${perWord}u${group === null ? "" : ` + element / ${group}u`}]);
}`,
    begin: (row) =>
      `(${row}) * (params.head_dim / ${perWord}u + ${group === null ? "1u" : `params.head_dim / ${group}u`})`,
    read: (begin, element) => `${variable}_at(${begin}, ${element})`,
  };
}

function wholeWords(kvType: KvType): WinnowError {
  return new WinnowError(
    "dtype",
    `a cache in ${kvType} needs heads whose size is a multiple of four; use f32 for this model`,
  );
}
