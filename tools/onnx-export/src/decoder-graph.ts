import { WinnowError } from "@winnow/core-tensor";
import { rotaryOf, rotationOf, type ModelConfig, type TensorSource } from "@winnow/runtime";

import { BLOCK, readLinear, readVector, type LinearWeight } from "./linear-weight";
import { CONTRIB, OnnxGraph } from "./onnx";

/** What products with eight-bit weights make of activations: `i8` rounds them to eight bits, which is faster, as llama.cpp does. */
export type Activations = "f32" | "i8";

/** By the numbers of `MatMulNBits`. */
const ACCURACY_LEVELS: Readonly<Record<Activations, number>> = { f32: 1, i8: 4 };
const TO_INT32 = 6;
const TO_FLOAT = 1;
const END = 2 ** 31;
/** Axes whose lengths each run chooses; Transformers.js knows them by these names. */
const BATCH = "batch_size";
const SEQUENCE = "sequence_length";
const PAST = "past_sequence_length";
const TOTAL = "total_sequence_length";

/**
 * The graph that Transformers.js runs a decoder by: ids, a mask and past keys and values in, the newest token's logits and
 * all keys and values out. Attention is ONNX Runtime's `GroupQueryAttention`, as exports for it have; it takes the positions
 * from the mask, so that there is no `position_ids`.
 *
 * @throws WinnowError `model` for what the graph has no nodes for.
 */
export async function decoderGraph(
  config: ModelConfig,
  source: TensorSource,
  activations: Activations,
): Promise<OnnxGraph> {
  expectPlainLlama(config, source.path);
  const graph = new OnnxGraph();
  const builder = new DecoderBuilder(graph, config, source, ACCURACY_LEVELS[activations]);
  await builder.build();
  return graph;
}

/** Names of the residual stream and of what a layer adds to it, which the next norm adds up. */
interface Residual {
  readonly stream: string;
  readonly added: string;
}

class DecoderBuilder {
  constructor(
    private readonly graph: OnnxGraph,
    private readonly config: ModelConfig,
    private readonly source: TensorSource,
    private readonly accuracyLevel: number,
  ) {}

  async build(): Promise<void> {
    const { graph, config, source } = this;
    const { layers, kvHeads, headDim, vocabulary } = config;
    const ids = graph.input("input_ids", "i64", [BATCH, SEQUENCE]);
    const mask = graph.input("attention_mask", "i64", [BATCH, TOTAL]);
    const lengths = this.#lengths(mask);
    const embedding = await readLinear(source, ["model.embed_tokens.weight"]);
    const embeddingNames = this.#declare("embedding", embedding);
    let residual: Residual = { stream: this.#embed(embedding, embeddingNames, ids), added: "" };
    for (let l = 0; l < layers; l++) {
      const past = ["key", "value"].map((part) =>
        graph.input(`past_key_values.${l}.${part}`, "f32", [BATCH, kvHeads, PAST, headDim]),
      );
      residual = await this.#layer(l, residual, lengths, past);
      for (const part of ["key", "value"]) {
        graph.output(`present.${l}.${part}`, "f32", [BATCH, kvHeads, TOTAL, headDim]);
      }
    }
    const { normed } = await this.#norm("model.norm.weight", residual);
    const bounds = [-1, END, 1].map((at) => graph.integers([at]));
    const newest = graph.node("Slice", [normed, ...bounds]);
    const head = config.tiedHead ? embedding : await readLinear(source, ["lm_head.weight"]);
    const headNames = config.tiedHead ? embeddingNames : this.#declare("head", head);
    this.#product(newest, head, headNames, "logits");
    graph.output("logits", "f32", [BATCH, 1, vocabulary]);
  }

  /** What attention asks of the mask: each row's last position, and the longest row's tokens. */
  #lengths(mask: string): string[] {
    const { graph } = this;
    const counts = graph.node("ReduceSum", [mask, graph.integers([1])], { keepdims: 0 });
    const last = graph.node("Sub", [counts, graph.integers(1)]);
    const total = graph.node("Gather", [graph.node("Shape", [mask]), graph.integers(1)]);
    return [last, total].map((name) => graph.node("Cast", [name], { to: TO_INT32 }));
  }

  async #layer(l: number, residual: Residual, lengths: readonly string[], past: readonly string[]): Promise<Residual> {
    const { graph, config } = this;
    const prefix = `model.layers.${l}.`;
    const before = await this.#norm(`${prefix}input_layernorm.weight`, residual);
    const heads = ["q", "k", "v"].map((part) => `self_attn.${part}_proj`);
    const qkv = await this.#linear(prefix, heads, before.normed);
    const attended = `layers.${l}.attended`;
    graph.nodeTo(
      [attended, `present.${l}.key`, `present.${l}.value`],
      "GroupQueryAttention",
      // Keys and values come with the queries.
      [qkv, "", "", ...past, ...lengths, ...this.#rotation()],
      {
        num_heads: config.queryHeads,
        kv_num_heads: config.kvHeads,
        do_rotary: 1,
        scale: { float: config.attentionScale },
      },
      CONTRIB,
    );
    const output = await this.#linear(prefix, ["self_attn.o_proj"], attended);
    const between = await this.#norm(`${prefix}post_attention_layernorm.weight`, {
      stream: before.stream,
      added: output,
    });
    const gate = await this.#linear(prefix, ["mlp.gate_proj"], between.normed);
    const up = await this.#linear(prefix, ["mlp.up_proj"], between.normed);
    const activated = graph.node("Mul", [gate, graph.node("Sigmoid", [gate])]);
    const down = await this.#linear(prefix, ["mlp.down_proj"], graph.node("Mul", [activated, up]));
    return { stream: between.stream, added: down };
  }

  /** The cosines and sines of every position, which all layers share. */
  #rotation(): readonly [string, string] {
    return (this.#rotationNames ??= this.#declareRotation());
  }

  #rotationNames: readonly [string, string] | null = null;

  #declareRotation(): readonly [string, string] {
    const { headDim, ropeTheta, ropeScaling, context } = this.config;
    const half = headDim / 2;
    const positions = Uint32Array.from({ length: context }, (_, position) => position);
    const rotation = rotationOf(positions, rotaryOf(headDim, ropeTheta, ropeScaling, context));
    const part = (from: number): Float32Array =>
      Float32Array.from(
        { length: context * half },
        (_, i) => rotation[Math.floor(i / half) * headDim + from + (i % half)] ?? NaN,
      );
    return [
      this.graph.weight("cosines", "f32", [context, half], part(0)),
      this.graph.weight("sines", "f32", [context, half], part(half)),
    ];
  }

  /** Add up the residual stream, and take its norm. */
  async #norm(
    name: string,
    { stream, added }: Residual,
  ): Promise<{ readonly normed: string; readonly stream: string }> {
    const { graph, config } = this;
    const values = await readVector(this.source, name);
    const weight = graph.weight(name, "f32", [values.length], values);
    const epsilon = { float: config.normEpsilon };
    if (added === "") {
      return { normed: graph.node("SimplifiedLayerNormalization", [stream, weight], { epsilon, axis: -1 }), stream };
    }
    const [normed, sum] = [`${name}.normed`, `${name}.sum`];
    graph.nodeTo(
      [normed, "", "", sum],
      "SkipSimplifiedLayerNormalization",
      [stream, added, weight],
      { epsilon },
      CONTRIB,
    );
    return { normed, stream: sum };
  }

  async #linear(prefix: string, parts: readonly string[], input: string): Promise<string> {
    const names = parts.map((part) => `${prefix}${part}.weight`);
    const weight = await readLinear(this.source, names);
    const name = names.join("+");
    return this.#product(input, weight, this.#declare(name, weight), `${name}.product`);
  }

  #declare(name: string, weight: LinearWeight): string[] {
    const { graph } = this;
    const { outputs, inputs } = weight;
    if (weight.kind === "f32") return [graph.weight(name, "f32", [outputs, inputs], weight.values)];
    const blocks = inputs / BLOCK;
    return [
      graph.weight(name, "u8", [outputs, blocks, BLOCK], weight.bytes),
      graph.weight(`${name}.scales`, "f32", [outputs, blocks], weight.scales),
    ];
  }

  #product(input: string, weight: LinearWeight, names: readonly string[], output: string): string {
    if (weight.kind === "f32") this.graph.nodeTo([output], "FusedMatMul", [input, ...names], { transB: 1 }, CONTRIB);
    else {
      this.graph.nodeTo(
        [output],
        "MatMulNBits",
        [input, ...names],
        {
          K: weight.inputs,
          N: weight.outputs,
          bits: 8,
          block_size: BLOCK,
          accuracy_level: this.accuracyLevel,
        },
        CONTRIB,
      );
    }
    return output;
  }

  #embed(weight: LinearWeight, names: readonly string[], ids: string): string {
    const { graph } = this;
    const [rows = "", scales = ""] = names.map((name) => graph.node("Gather", [name, ids]));
    if (weight.kind === "f32") return rows;
    const zero = graph.weight("embedding.zero", "f32", [], Float32Array.of(128));
    const centred = graph.node("Sub", [graph.node("Cast", [rows], { to: TO_FLOAT }), zero]);
    const widened = graph.node("Mul", [centred, graph.node("Unsqueeze", [scales, graph.integers([-1])])]);
    return graph.node("Reshape", [widened, graph.integers([0, 0, -1])]);
  }
}

function expectPlainLlama(config: ModelConfig, path: string): void {
  const refused: readonly (readonly [boolean, string])[] = [
    [config.architecture !== "LlamaForCausalLM", `architecture ${config.architecture}`],
    [config.qkvBias || config.outputBias || config.feedForwardBias, "biases"],
    [config.scoreCap !== null || config.logitCap !== null, "capped scores or logits"],
    [config.sights.some(({ window, rotation }) => window !== null || rotation !== "global"), "layers that differ"],
  ];
  const found = refused.find(([is]) => is);
  if (found !== undefined) {
    throw new WinnowError(
      "model",
      `${path}: a model with ${found[1]} cannot be exported; expected a plain LlamaForCausalLM, so choose one`,
    );
  }
}
