import type { Backend, Shape } from "@winnow/core-tensor";

import type { ModelConfig } from "../files/config";
import { expectTensors } from "../files/expect-tensors";
import type { TensorSource } from "../files/tensor-source";
import { Llama, type LlamaLayer, type LlamaShape } from "./llama";
import { WeightLoader, type LinearNames } from "./weight-loader";

/** Rotary frequencies that old checkpoints store; they follow from the configuration. */
const IGNORED = /\.rotary_emb\.inv_freq$/;

export interface LoadProgress {
  /** Called after each layer, of `total` steps in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Put a Llama's weights on a device, layer by layer: besides what the device holds there is never more in memory than what
 * one layer takes.
 *
 * @throws WinnowError `model` when tensors are missing, unknown or of another shape than the configuration calls for;
 * `numeric` when a weight is not a finite number.
 */
export async function loadLlama(
  source: TensorSource,
  config: ModelConfig,
  backend: Backend,
  { onProgress, signal }: LoadProgress,
): Promise<Llama> {
  expectTensors(
    source,
    expectedTensors(config),
    config.tiedHead ? /^lm_head\.weight$|\.rotary_emb\.inv_freq$/ : IGNORED,
  );
  const total = config.layers + 1;
  const loader = new WeightLoader(source, backend, signal);
  const embedding = await loader.matrix("embedding", "model.embed_tokens.weight");
  const layers: LlamaLayer[] = [];
  for (let l = 0; l < config.layers; l++) {
    onProgress?.(l, total);
    layers.push(await loadLayer(loader, config, l));
    // So that what the driver copied on the way is free before more is read.
    await backend.flush();
  }
  onProgress?.(config.layers, total);
  const norm = await loader.vector("norm", "model.norm.weight");
  const head = config.tiedHead ? embedding : await loader.matrix("head", "lm_head.weight");
  onProgress?.(total, total);
  return new Llama(backend, shapeOf(config), { embedding, layers, norm, head });
}

async function loadLayer(loader: WeightLoader, config: ModelConfig, l: number): Promise<LlamaLayer> {
  const label = (part: string): string => `layers.${l}.${part}`;
  const named = (bias: boolean, ...parts: readonly string[]): LinearNames => ({
    parts: parts.map((part) => `model.layers.${l}.${part}`),
    bias,
  });
  const { qkvBias, outputBias, feedForwardBias } = config;
  return {
    attentionNorm: await loader.vector(label("attentionNorm"), `model.layers.${l}.input_layernorm.weight`),
    qkv: await loader.linearParts(
      label("qkv"),
      named(qkvBias, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ),
    output: await loader.linear(label("output"), named(outputBias, "self_attn.o_proj")),
    feedForwardNorm: await loader.vector(label("feedForwardNorm"), `model.layers.${l}.post_attention_layernorm.weight`),
    gateUp: await loader.linear(label("gateUp"), named(feedForwardBias, "mlp.gate_proj", "mlp.up_proj")),
    down: await loader.linear(label("down"), named(feedForwardBias, "mlp.down_proj")),
  };
}

function shapeOf(config: ModelConfig): LlamaShape {
  const { queryHeads, kvHeads, headDim, width, feedForward, vocabulary, normEpsilon } = config;
  return { heads: { queryHeads, kvHeads, headDim }, width, feedForward, vocabulary, normEpsilon };
}

/** Every tensor that the configuration calls for, with its shape. */
export function expectedTensors(config: ModelConfig): Map<string, Shape> {
  const { width, feedForward, vocabulary } = config;
  const query = config.queryHeads * config.headDim;
  const kv = config.kvHeads * config.headDim;
  const tensors = new Map<string, Shape>([["model.embed_tokens.weight", [vocabulary, width]]]);
  const linear = (name: string, outputs: number, inputs: number, bias: boolean): void => {
    tensors.set(`${name}.weight`, [outputs, inputs]);
    if (bias) tensors.set(`${name}.bias`, [outputs]);
  };
  for (let l = 0; l < config.layers; l++) {
    const prefix = `model.layers.${l}.`;
    tensors.set(`${prefix}input_layernorm.weight`, [width]);
    linear(`${prefix}self_attn.q_proj`, query, width, config.qkvBias);
    linear(`${prefix}self_attn.k_proj`, kv, width, config.qkvBias);
    linear(`${prefix}self_attn.v_proj`, kv, width, config.qkvBias);
    linear(`${prefix}self_attn.o_proj`, width, query, config.outputBias);
    tensors.set(`${prefix}post_attention_layernorm.weight`, [width]);
    linear(`${prefix}mlp.gate_proj`, feedForward, width, config.feedForwardBias);
    linear(`${prefix}mlp.up_proj`, feedForward, width, config.feedForwardBias);
    linear(`${prefix}mlp.down_proj`, width, feedForward, config.feedForwardBias);
  }
  tensors.set("model.norm.weight", [width]);
  if (!config.tiedHead) tensors.set("lm_head.weight", [vocabulary, width]);
  return tensors;
}
