import type { WeightDType } from "../files/tensor-source";

export interface ConvertOptions {
  /** What matrices are stored as; vectors of a GGUF file are f32. Default: f16. */
  readonly type?: WeightDType | undefined;
  /** Replace a GGUF file that is there already. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before each tensor, of `total` in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Told of tensors that become another type than was asked for. */
  readonly onNote?: ((line: string) => void) | undefined;
}
