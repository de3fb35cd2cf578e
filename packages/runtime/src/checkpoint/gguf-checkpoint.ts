import type { SamplingParams } from "@winnow/core-tensor";

import type { ModelConfig } from "../files/config";
import { openGguf } from "../files/gguf-file";
import { platform } from "../platform/node";
import type { Checkpoint } from "./checkpoint";
import { ggufConfig } from "./gguf-config";
import { GgufMetadata } from "./gguf-metadata";
import { ggufTemplate, ggufTokenizer, ggufTokenizerFiles } from "./gguf-tokenizer";
import { GgufWeights } from "./gguf-weights";

/** GGUF files suggest nothing for sampling. */
const GREEDY: Omit<SamplingParams, "seed"> = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

/** A model in a GGUF file, or the parts of one. */
export async function openGgufCheckpoint(path: string): Promise<Checkpoint> {
  const file = await openGguf(path, (at) => platform.openFile(at));
  const metadata = new GgufMetadata(file.metadata, path);
  let known: Promise<ModelConfig> | undefined;
  const config = (): Promise<ModelConfig> => (known ??= ggufConfig(metadata, file));
  return {
    path,
    config,
    tokenizer: () => Promise.resolve().then(() => ggufTokenizer(metadata)),
    tokenizerFiles: () => Promise.resolve().then(() => ggufTokenizerFiles(metadata)),
    template: () => Promise.resolve().then(() => ggufTemplate(metadata)),
    generation: () => Promise.resolve({ sampling: GREEDY, eosIds: [] }),
    weights: async () => new GgufWeights(file, await config()),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}
