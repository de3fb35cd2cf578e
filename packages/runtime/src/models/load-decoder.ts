import type { Backend, DeviceTensor, Shape } from "@winnow/core-tensor";

import type { ModelConfig } from "../files/config";
import { expectTensors } from "../files/expect-tensors";
import type { TensorSource } from "../files/tensor-source";
import { Decoder, type DecoderLayer, type DecoderShape } from "./decoder";
import { familyNamed } from "./families";
import { WeightLoader, type LinearNames } from "./weight-loader";

/** Rotary frequencies that old checkpoints store; they follow from the configuration. */
const IGNORED = /\.rotary_emb\.inv_freq$/;

export interface LoadProgress {
  /** Called after each layer, of `total` steps in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Put a decoder's weights on a device, layer by layer: besides what the device holds there is never more in memory than what
 * one layer takes.
 *
 * @throws WinnowError `model` when tensors are missing, unknown or of another shape than the configuration calls for;
 * `numeric` when a weight is not a finite number.
 */
export async function loadDecoder(
  source: TensorSource,
  config: ModelConfig,
  backend: Backend,
  { onProgress, signal }: LoadProgress,
): Promise<Decoder> {
  expectTensors(
    source,
    expectedTensors(config),
    config.tiedHead ? /^lm_head\.weight$|\.rotary_emb\.inv_freq$/ : IGNORED,
  );
  const total = config.layers + 1;
  const loader = new WeightLoader(source, backend, signal);
  const embedding = await loader.matrix("embedding", "model.embed_tokens.weight");
  const layers: DecoderLayer[] = [];
  for (let l = 0; l < config.layers; l++) {
    onProgress?.(l, total);
    layers.push(await loadLayer(loader, config, l));
    // So that what the driver copied on the way is free before more is read.
    await backend.flush();
  }
  onProgress?.(config.layers, total);
  const norm = await loader.vector("norm", ["model.norm.weight"], config.normOffset);
  const head = config.tiedHead ? embedding : await loader.matrix("head", "lm_head.weight");
  onProgress?.(total, total);
  return new Decoder(backend, shapeOf(config), { embedding, layers, norm, head });
}

async function loadLayer(loader: WeightLoader, config: ModelConfig, l: number): Promise<DecoderLayer> {
  const { names } = familyNamed(config.architecture);
  const { queryHeads, kvHeads, headDim, qkvBias, outputBias, feedForwardBias } = config;
  const label = (part: string): string => `layers.${l}.${part}`;
  const named = (bias: boolean, ...parts: readonly string[]): LinearNames => ({
    parts: parts.map((part) => `model.layers.${l}.${part}`),
    bias,
  });
  const norm = (part: string, name: string): Promise<DeviceTensor> =>
    loader.vector(label(part), [`model.layers.${l}.${name}.weight`], config.normOffset);
  const normIf = (part: string, name: string | null): Promise<DeviceTensor | null> =>
    name === null ? Promise.resolve(null) : norm(part, name);
  const ofHeads = (name: string, heads: number): string[] =>
    new Array<string>(heads).fill(`model.layers.${l}.${name}.weight`);
  return {
    attentionNorm: await norm("attentionNorm", names.attentionNorm),
    qkv: await loader.linearParts(label("qkv"), named(qkvBias, ...names.qkv)),
    queryKeyNorm:
      names.queryNorm === null || names.keyNorm === null
        ? null
        : await loader.vector(
            label("queryKeyNorm"),
            [...ofHeads(names.queryNorm, queryHeads), ...ofHeads(names.keyNorm, kvHeads)],
            config.normOffset,
            [queryHeads + kvHeads, headDim],
          ),
    output: await loader.linear(label("output"), named(outputBias, names.output)),
    attentionPostNorm: await normIf("attentionPostNorm", names.attentionPostNorm),
    feedForwardNorm: await norm("feedForwardNorm", names.feedForwardNorm),
    gateUp: await loader.linear(label("gateUp"), named(feedForwardBias, ...names.gateUp)),
    down: await loader.linear(label("down"), named(feedForwardBias, names.down)),
    feedForwardPostNorm: await normIf("feedForwardPostNorm", names.feedForwardPostNorm),
  };
}

function shapeOf(config: ModelConfig): DecoderShape {
  const { queryHeads, kvHeads, headDim, width, feedForward, vocabulary, normEpsilon } = config;
  const { activation, scalesEmbedding, names } = familyNamed(config.architecture);
  return {
    heads: { queryHeads, kvHeads, headDim },
    width,
    feedForward,
    vocabulary,
    normEpsilon,
    embeddingScale: scalesEmbedding ? Math.sqrt(width) : 1,
    activation: activation === "silu" ? "silu-gate" : "gelu-gate",
    attentionScale: config.attentionScale,
    scoreCap: config.scoreCap,
    logitCap: config.logitCap,
    windows: config.sights.map(({ window }) => window),
    postNorms: names.attentionPostNorm !== null,
  };
}

/** Every tensor that the configuration calls for, with its shape. */
export function expectedTensors(config: ModelConfig): Map<string, Shape> {
  const { width, feedForward, vocabulary, headDim } = config;
  const { names } = familyNamed(config.architecture);
  const query = config.queryHeads * headDim;
  const kv = config.kvHeads * headDim;
  const tensors = new Map<string, Shape>([["model.embed_tokens.weight", [vocabulary, width]]]);
  for (let l = 0; l < config.layers; l++) {
    const prefix = `model.layers.${l}.`;
    const vector = (name: string | null, length: number): void => {
      if (name !== null) tensors.set(`${prefix}${name}.weight`, [length]);
    };
    const linear = (parts: readonly string[], outputs: readonly number[], inputs: number, bias: boolean): void => {
      const sizes = parts.length === 1 ? [outputs.reduce((sum, size) => sum + size, 0)] : outputs;
      parts.forEach((name, i) => {
        tensors.set(`${prefix}${name}.weight`, [sizes[i] ?? 0, inputs]);
        if (bias) tensors.set(`${prefix}${name}.bias`, [sizes[i] ?? 0]);
      });
    };
    vector(names.attentionNorm, width);
    linear(names.qkv, [query, kv, kv], width, config.qkvBias);
    vector(names.queryNorm, headDim);
    vector(names.keyNorm, headDim);
    linear([names.output], [width], query, config.outputBias);
    vector(names.attentionPostNorm, width);
    vector(names.feedForwardNorm, width);
    linear(names.gateUp, [feedForward, feedForward], width, config.feedForwardBias);
    linear([names.down], [width], feedForward, config.feedForwardBias);
    vector(names.feedForwardPostNorm, width);
  }
  tensors.set("model.norm.weight", [width]);
  if (!config.tiedHead) tensors.set("lm_head.weight", [vocabulary, width]);
  return tensors;
}
