import type { ModelConfig } from "../files/config";
import type { GenerationConfig } from "../files/generation-config";
import type { TensorSource } from "../files/tensor-source";
import type { ChatTemplate, Tokenizer } from "../tokenizer";

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
