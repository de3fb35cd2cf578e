import type { QuantisedType, Shape, TensorOf } from "@winnow/core-tensor";

/** Types of weights whose elements are floats. */
export type FloatDType = "f32" | "f16" | "bf16";

/** The types that weights are stored as in files. */
export type WeightDType = FloatDType | QuantisedType;

/** A weight tensor: f32 values, half-precision bits as they are in the file, or quantised elements as rows of words (`quantisedRow`). */
export type WeightTensor = { [D in WeightDType]: TensorOf<D> }[WeightDType];

/** What a file says about one of its tensors. */
export interface TensorInfo {
  readonly dtype: WeightDType;
  readonly shape: Shape;
  /** Of the tensor that is read, which is what the file has but for the padding of quantised rows. */
  readonly bytes: number;
}

/**
 * Tensors by name, in one file or several. Opening reads the headers only; a tensor's bytes are read when
 * they are asked for, straight into the array that is handed out, which belongs to the caller.
 *
 * @example
 * ```ts
 * await using weights = await openWeights("models/demo");
 * const norm = await weights.read("model.norm.weight");
 * ```
 */
export interface TensorSource extends AsyncDisposable {
  /** Where the tensors come from, for messages. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The file that holds a tensor, and its name there, for messages: `model.safetensors: tensor "lm_head.weight"`. */
  whereIs(name: string): string;
  has(name: string): boolean;
  /**
   * @throws WinnowError `file` when there is no such tensor or the file has shrunk since it was opened,
   * `memory` when there is no room for it, `disposed` after {@link close}.
   */
  read(name: string): Promise<WeightTensor>;
  /**
   * As {@link read}, into bytes that are there already, as many as the tensor has: a part of a larger one.
   *
   * @param target begins at whole elements of its buffer, for quantised tensors at whole words.
   */
  readInto(target: Uint8Array, name: string): Promise<void>;
  /** Close the files, once reads under way have ended. Closing again does nothing. */
  close(): Promise<void>;
}
