import {
  WinnowError,
  tensor,
  toFloat32,
  type Backend,
  type DeviceTensor,
  type Shape,
  type Tensor,
} from "@winnow/core-tensor";

import type { ModelConfig } from "../files/config";
import { throwIfAborted } from "../abort";
import { expectTensors } from "../files/expect-tensors";
import type { TensorSource, WeightTensor } from "../files/tensor-source";
import { Llama, type LlamaLayer, type LlamaShape } from "./llama";

/** Rotary frequencies that old checkpoints store; they follow from the configuration. */
const IGNORED = /\.rotary_emb\.inv_freq$/;

export interface LoadProgress {
  /** Called after each layer, of `total` steps in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Put a Llama's weights on a device, one tensor at a time: besides what the device holds there is never more in
 * memory than the parts of one fused weight.
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
  const put = async (label: string, ...names: string[]): Promise<DeviceTensor> => {
    const parts: WeightTensor[] = [];
    for (const name of names) {
      throwIfAborted(signal, "loading the model");
      const part = await source.read(name);
      expectFinite(part, source.whereIs(name));
      parts.push(part);
    }
    return backend.upload(stack(parts), { label, category: "weights" });
  };
  const embedding = await put("embedding", "model.embed_tokens.weight");
  const layers: LlamaLayer[] = [];
  for (let l = 0; l < config.layers; l++) {
    onProgress?.(l, total);
    const prefix = `model.layers.${l}.`;
    const attention = (part: string): string => `${prefix}self_attn.${part}`;
    const mlp = (part: string): string => `${prefix}mlp.${part}`;
    const label = (part: string): string => `layers.${l}.${part}`;
    const biasIf = (wanted: boolean, part: string, ...names: string[]): Promise<DeviceTensor | null> =>
      wanted ? put(label(part), ...names) : Promise.resolve(null);
    layers.push({
      attentionNorm: await put(label("attentionNorm"), `${prefix}input_layernorm.weight`),
      qkv: await put(label("qkv"), attention("q_proj.weight"), attention("k_proj.weight"), attention("v_proj.weight")),
      qkvBias: await biasIf(
        config.qkvBias,
        "qkvBias",
        attention("q_proj.bias"),
        attention("k_proj.bias"),
        attention("v_proj.bias"),
      ),
      output: await put(label("output"), attention("o_proj.weight")),
      outputBias: await biasIf(config.outputBias, "outputBias", attention("o_proj.bias")),
      feedForwardNorm: await put(label("feedForwardNorm"), `${prefix}post_attention_layernorm.weight`),
      gateUp: await put(label("gateUp"), mlp("gate_proj.weight"), mlp("up_proj.weight")),
      gateUpBias: await biasIf(config.feedForwardBias, "gateUpBias", mlp("gate_proj.bias"), mlp("up_proj.bias")),
      down: await put(label("down"), mlp("down_proj.weight")),
      downBias: await biasIf(config.feedForwardBias, "downBias", mlp("down_proj.bias")),
    });
  }
  onProgress?.(config.layers, total);
  const norm = await put("norm", "model.norm.weight");
  const head = config.tiedHead ? embedding : await put("head", "lm_head.weight");
  onProgress?.(total, total);
  return new Llama(backend, shapeOf(config), { embedding, layers, norm, head });
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

/** Tensors one below the other, in their own type where they share it, else in f32. */
function stack(parts: readonly WeightTensor[]): Tensor {
  const [first] = parts;
  if (first === undefined) throw new WinnowError("model", "a weight is made of no tensors");
  if (parts.length === 1) return first;
  const shape = [parts.reduce((sum, part) => sum + (part.shape[0] ?? 0), 0), ...first.shape.slice(1)];
  if (first.dtype === "f32" || parts.some(({ dtype }) => dtype !== first.dtype)) {
    return tensor(
      "f32",
      shape,
      joined(parts.map(toFloat32), (length) => new Float32Array(length)),
    );
  }
  const halves = parts.flatMap((part) => (part.dtype === "f32" ? [] : [part.data]));
  return tensor(
    first.dtype,
    shape,
    joined(halves, (length) => new Uint16Array(length)),
  );
}

function joined<A extends Float32Array | Uint16Array>(parts: readonly A[], make: (length: number) => A): A {
  const whole = make(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @throws WinnowError `numeric` naming the first element that is infinite or not a number. */
function expectFinite(weights: WeightTensor, what: string): void {
  const at = firstNonFinite(weights);
  if (at >= 0) {
    throw new WinnowError(
      "numeric",
      `${what} has a value at element ${at} that is not a finite number; the file is damaged or the model diverged`,
    );
  }
}

function firstNonFinite({ dtype, data }: WeightTensor): number {
  // Plain loops: a call for each of billions of weights would take longer than reading them.
  if (dtype === "f32") {
    for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
    return -1;
  }
  const exponent = dtype === "f16" ? 0x7c00 : 0x7f80;
  for (let i = 0; i < data.length; i++) if (((data[i] ?? 0) & exponent) === exponent) return i;
  return -1;
}
