import type { ModelConfig } from "../files/config";
import type { GenerationConfig } from "../files/generation-config";
import type { TensorSource } from "../files/tensor-source";
import type { ChatTemplate, NamedTokens, Tokenizer } from "../tokenizer";

/** A tokenizer as files in Hugging Face layout have it. */
export interface TokenizerFiles {
  /** The content of `tokenizer.json`. */
  readonly json: unknown;
  /** The tokens with a role, as `tokenizer_config.json` names them. */
  readonly roles: NamedTokens;
}

/** A model as its files have it, whichever format they are in. Each part is read when it is asked for. */
export interface Checkpoint extends AsyncDisposable {
  /** Where it is, for messages. */
  readonly path: string;
  /** @throws WinnowError `file` when it is missing or malformed, `model` when Winnow cannot run such a model. */
  config(): Promise<ModelConfig>;
  /** @throws WinnowError `file`, `tokenizer` */
  tokenizer(): Promise<Tokenizer>;
  /** The tokenizer as files in Hugging Face layout have it. @throws WinnowError `file`, `tokenizer` */
  tokenizerFiles(): Promise<TokenizerFiles>;
  /** Null where the model has none. @throws WinnowError `file`, `tokenizer` */
  template(): Promise<ChatTemplate | null>;
  /** @throws WinnowError `file` */
  generation(): Promise<GenerationConfig>;
  /** The weights by their names in Hugging Face layout; the caller closes them. @throws WinnowError `file` */
  weights(): Promise<TensorSource>;
}
