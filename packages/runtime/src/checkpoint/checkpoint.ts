import { readModelConfig, type ModelConfig } from "../files/config";
import { filesAt } from "../files/files-at";
import { readGenerationConfig, type GenerationConfig } from "../files/generation-config";
import type { ModelFiles } from "../files/model-files";
import type { TensorSource } from "../files/tensor-source";
import { openWeights } from "../files/weights";
import { loadChatTemplate, loadTokenizer, type ChatTemplate, type Tokenizer } from "../tokenizer";
import { openGgufCheckpoint } from "./gguf-checkpoint";

/** A model as its files have it, whichever format they are in. Each part is read when it is asked for. */
export interface Checkpoint extends AsyncDisposable {
  /** Where it is, for messages. */
  readonly path: string;
  /** @throws WinnowError `file` when it is missing or malformed, `model` when Winnow cannot run such a model. */
  config(): Promise<ModelConfig>;
  /** @throws WinnowError `file`, `tokenizer` */
  tokenizer(): Promise<Tokenizer>;
  /** Null where the model has none. @throws WinnowError `file`, `tokenizer` */
  template(): Promise<ChatTemplate | null>;
  /** @throws WinnowError `file` */
  generation(): Promise<GenerationConfig>;
  /** The weights by their names in Hugging Face layout; the caller closes them. @throws WinnowError `file` */
  weights(): Promise<TensorSource>;
}

/**
 * Open a model: a directory in Hugging Face layout, or a GGUF file (in a browser, their URL); or files in that layout, from
 * wherever they are.
 *
 * @throws WinnowError `file` when a GGUF file is missing, damaged or cut short.
 * @example
 * ```ts
 * await using checkpoint = await openCheckpoint("models/demo");
 * console.log((await checkpoint.config()).context);
 * ```
 */
export async function openCheckpoint(place: string | ModelFiles): Promise<Checkpoint> {
  return typeof place === "string" && /\.gguf$/i.test(place)
    ? openGgufCheckpoint(place)
    : filesCheckpoint(filesAt(place));
}

function filesCheckpoint(files: ModelFiles): Checkpoint {
  return {
    path: files.path,
    config: () => readModelConfig(files),
    tokenizer: () => loadTokenizer(files),
    template: () => loadChatTemplate(files),
    generation: () => readGenerationConfig(files),
    weights: () => openWeights(files),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
