import { isQuantised, QUANTISED_TYPES, WinnowError, type DType } from "@winnow/core-tensor";

/** How floats are stored: f32, or halves two to a word, which needs no feature of the device. */
export const FLOAT_TYPES = ["f32", "f16", "bf16"] as const satisfies readonly DType[];
export type FloatStorage = (typeof FLOAT_TYPES)[number];

/** @throws WinnowError `dtype` for what is no plain float. */
export function floatStorage(dtype: DType): FloatStorage {
  const found = FLOAT_TYPES.find((type) => type === dtype);
  if (found === undefined) throw new WinnowError("dtype", `${dtype}, expected ${FLOAT_TYPES.join(", ")}`);
  return found;
}

/** What weights that are multiplied or looked up may be stored as. */
export const WEIGHT_TYPES = [...FLOAT_TYPES, ...QUANTISED_TYPES] as const;
export type WeightStorage = (typeof WEIGHT_TYPES)[number];

/** @throws WinnowError `dtype` for integers. */
export function weightStorage(dtype: DType): WeightStorage {
  return isQuantised(dtype) ? dtype : floatStorage(dtype);
}

/** How a kernel reads floats of a storage variable, whatever their type. */
export interface FloatReader {
  /** The variable's WGSL type. */
  readonly type: string;
  /** An expression: element (of a scalar reader) or group of four (of a vector reader) number `index`, as f32 or vec4f. */
  read(index: string): string;
  /** Functions that `read` calls. */
  readonly declarations: string;
}

const HALVES = {
  f16: (word: string): string => `unpack2x16float(${word})`,
  bf16: (word: string): string => `bitcast<vec2f>(vec2u(${word} << 16u, ${word} & 0xffff0000u))`,
};

/** One element at a time: for widths of any number. */
export function scalarReader(variable: string, storage: FloatStorage): FloatReader {
  if (storage === "f32") return { type: "array<f32>", read: (index) => `${variable}[${index}]`, declarations: "" };
  return {
    type: "array<u32>",
    read: (index) => `${variable}_at(${index})`,
    declarations: `fn ${variable}_at(i: u32) -> f32 {
  let word = ${variable}[i / 2u];
  let pair = ${HALVES[storage]("word")};
  return select(pair.x, pair.y, (i & 1u) == 1u);
}`,
  };
}

/** Four elements at a time, aligned: for widths and beginnings that are multiples of four. */
export function vectorReader(variable: string, storage: FloatStorage): FloatReader {
  if (storage === "f32") return { type: "array<vec4f>", read: (index) => `${variable}[${index}]`, declarations: "" };
  return {
    type: "array<vec2u>",
    read: (index) => `${variable}_at(${index})`,
    declarations: `fn ${variable}_at(i: u32) -> vec4f {
  let words = ${variable}[i];
  return vec4f(${HALVES[storage]("words.x")}, ${HALVES[storage]("words.y")});
}`,
  };
}
