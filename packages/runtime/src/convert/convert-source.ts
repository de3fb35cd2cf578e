import type { Checkpoint, TokenizerFiles } from "../checkpoint/checkpoint";
import type { ModelConfig } from "../files/config";
import type { TensorSource } from "../files/tensor-source";
import { expectedTensors } from "../models/load-decoder";
import { expectTensors } from "../files/expect-tensors";

/** What is converted: everything of a model that files of either format have. */
export interface ConvertSource {
  readonly path: string;
  readonly config: ModelConfig;
  readonly tokenizer: TokenizerFiles;
  readonly template: string | null;
  readonly weights: TensorSource;
  /** The tensors that the model needs, in order; files may have others that follow from these. */
  readonly names: readonly string[];
}

/** @throws WinnowError `file`, `model`, `tokenizer` for a model that cannot be loaded either. */
export async function readConvertSource(checkpoint: Checkpoint): Promise<ConvertSource> {
  const config = await checkpoint.config();
  // Whatever the tokenizer lacks is found before anything is written.
  await checkpoint.tokenizer();
  const tokenizer = await checkpoint.tokenizerFiles();
  const template = (await checkpoint.template())?.source ?? null;
  const weights = await checkpoint.weights();
  const expected = expectedTensors(config);
  try {
    expectTensors(weights, expected, /\.rotary_emb\.inv_freq$|^lm_head\.weight$/);
  } catch (error) {
    await weights.close();
    throw error;
  }
  return { path: checkpoint.path, config, tokenizer, template, weights, names: [...expected.keys()] };
}
