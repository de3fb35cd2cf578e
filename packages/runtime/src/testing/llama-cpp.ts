import { getLlama, LlamaLogLevel, type Llama, type LlamaModel, type Token } from "node-llama-cpp";

let llama: Promise<Llama> | undefined;

/** A GGUF file in llama.cpp, on the CPU. */
export async function openLlamaCpp(path: string, options: { readonly vocabOnly?: boolean } = {}): Promise<LlamaModel> {
  llama ??= getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.disabled });
  return (await llama).loadModel({ modelPath: path, ...options });
}

/** Natural logarithms of what llama.cpp gives every token of the vocabulary behind each of these, one map a position. */
export async function logProbabilities(
  model: LlamaModel,
  ids: readonly number[],
): Promise<ReadonlyMap<number, number>[]> {
  await using context = await model.createContext({ contextSize: Math.max(64, ids.length) });
  const sequence = context.getSequence();
  const tokens = [...model.iterateAllTokens()];
  const asked = ids.map((id) => [tokenOf(tokens, id), { generateNext: { probabilities: true } }] as const);
  const outputs = await sequence.controlledEvaluate(asked.map(([token, options]) => [token, options]));
  return outputs.map((output) => {
    const { probabilities } = output?.next ?? {};
    if (probabilities === undefined) throw new Error("llama.cpp told no probabilities");
    return new Map([...probabilities].map(([token, probability]) => [Number(token), Math.log(probability)]));
  });
}

/** Its tokens are numbers of a type of their own. */
function tokenOf(tokens: readonly Token[], id: number): Token {
  const token = tokens[id];
  if (token === undefined) throw new Error(`llama.cpp has no token ${id}`);
  return token;
}
