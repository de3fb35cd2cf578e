import { readModelConfig } from "../files/config";
import { filesAt } from "../files/files-at";
import { readGenerationConfig } from "../files/generation-config";
import type { ModelFiles } from "../files/model-files";
import { openWeights } from "../files/weights";
import { loadChatTemplate, loadTokenizer, readTokenizerFiles } from "../tokenizer";
import type { Checkpoint } from "./checkpoint";
import { openGgufCheckpoint } from "./gguf-checkpoint";

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
    tokenizerFiles: () => readTokenizerFiles(files),
    template: () => loadChatTemplate(files),
    generation: () => readGenerationConfig(files),
    weights: () => openWeights(files),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
