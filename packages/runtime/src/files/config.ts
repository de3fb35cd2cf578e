import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import { FAMILIES } from "../models/families";
import type { Family } from "../models/family";
import { layersOf, type LayerSight } from "../models/layer-sight";
import type { RopeScaling } from "../models/rope";
import { filesAt } from "./files-at";
import { checkJson, readJsonFile } from "./json-file";
import type { ModelFiles } from "./model-files";
import { quote } from "./quote";
import { parseRope, ropeSchema, stretchedContext } from "./rope-config";

/** A model's shape: what `config.json` says, checked and with nothing left to guess. */
export interface ModelConfig {
  /** The family's name, as `architectures` of a `config.json` has it. */
  readonly architecture: string;
  /** Width of the residual stream. */
  readonly width: number;
  /** Width of the feed-forward layer. */
  readonly feedForward: number;
  readonly layers: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** What rows see and how they are rotated, by layer. */
  readonly sights: readonly LayerSight[];
  /** What products of queries and keys are multiplied by. */
  readonly attentionScale: number;
  /** What scores, and logits, are capped at; null where they are not. */
  readonly scoreCap: number | null;
  readonly logitCap: number | null;
  /** The longest sequence, in tokens. */
  readonly context: number;
  readonly vocabulary: number;
  readonly normEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** The base of layers that see a window, which is not scaled; null where it is the same for all. */
  readonly windowTheta: number | null;
  /** Whether the projections to q, k and v have biases. */
  readonly qkvBias: boolean;
  /** Whether the projection from attention's output has a bias. */
  readonly outputBias: boolean;
  /** Whether the projections of the feed-forward layer have biases. */
  readonly feedForwardBias: boolean;
  /** What is to be added to the norms' weights as they are stored. */
  readonly normOffset: 0 | 1;
  /** Whether the embedding is also the output head. */
  readonly tiedHead: boolean;
  readonly bosIds: readonly number[];
  /** Ids that end a text, unless `generation_config.json` names others. */
  readonly eosIds: readonly number[];
}

// Generous ceilings: a number beyond them is a mistake, and loops run to these.
const extent = (limit: number) =>
  z.int("expected a whole number").positive("expected at least 1").max(limit, `expected at most ${limit}`);
const positive = z.number("expected a number").positive("expected above 0");
const flag = z.boolean("expected true or false").nullish();

const TOKEN_IDS = "expected a token id or an array of them";
const tokenId = z.int(TOKEN_IDS).nonnegative(TOKEN_IDS);

/** A token id, an array of them, or nothing; as an array. */
export const tokenIdsSchema = z
  .union([tokenId, z.array(tokenId)], TOKEN_IDS)
  .nullish()
  .transform((ids) => (ids == null ? [] : typeof ids === "number" ? [ids] : ids));

const kindSchema = z.object({
  architectures: z.array(z.string()).nullish(),
  model_type: z.string("expected a string").nullish(),
});

const configSchema = z.object({
  hidden_size: extent(2 ** 24),
  intermediate_size: extent(2 ** 24),
  num_hidden_layers: extent(10_000),
  num_attention_heads: extent(2 ** 16),
  num_key_value_heads: extent(2 ** 16).nullish(),
  head_dim: extent(2 ** 16).nullish(),
  max_position_embeddings: extent(2 ** 31),
  vocab_size: extent(2 ** 24),
  rms_norm_eps: z.number("expected a number").positive("expected above 0"),
  hidden_act: z.string("expected a string").nullish(),
  hidden_activation: z.string("expected a string").nullish(),
  query_pre_attn_scalar: positive.nullish(),
  attn_logit_softcapping: positive.nullish(),
  final_logit_softcapping: positive.nullish(),
  attention_bias: flag,
  mlp_bias: flag,
  tie_word_embeddings: flag,
  sliding_window: extent(2 ** 31).nullish(),
  use_sliding_window: flag,
  sliding_window_pattern: extent(10_000).nullish(),
  max_window_layers: z.int("expected a whole number").nonnegative("expected at least 0").nullish(),
  layer_types: z.array(z.string("expected a string"), "expected an array of strings").nullish(),
  no_rope_layers: z.array(z.number("expected a number"), "expected an array of numbers").nullish(),
  no_rope_layer_interval: extent(10_000).nullish(),
  partial_rotary_factor: z.number().nullish(),
  quantization_config: z.unknown().optional(),
  bos_token_id: tokenIdsSchema,
  eos_token_id: tokenIdsSchema,
  ...ropeSchema.shape,
});

/**
 * Read and check a model's `config.json`.
 *
 * @param place the model's files in Hugging Face layout, or their directory (in a browser, their URL).
 * @throws WinnowError `file` when it is missing or malformed, `model` when Winnow cannot run such a model.
 */
export async function readModelConfig(place: string | ModelFiles): Promise<ModelConfig> {
  const files = filesAt(place);
  await files.expectPlace();
  const config = await readJsonFile(files, "config.json", z.record(z.string(), z.unknown(), "expected an object"));
  return parseModelConfig(config, files.pathOf("config.json"));
}

/** As {@link readModelConfig}, of JSON that is already read; `what` names it in messages. */
export function parseModelConfig(value: unknown, what: string): ModelConfig {
  // What kind of model it is comes first: another family's config lacks fields for good reasons.
  const family = familyOf(checkJson(value, kindSchema, what), what);
  const config = checkJson(value, configSchema, what);
  const queryHeads = config.num_attention_heads;
  const kvHeads = config.num_key_value_heads ?? queryHeads;
  const headDim = config.head_dim ?? config.hidden_size / queryHeads;
  const fault = shapeFault({ queryHeads, kvHeads, headDim });
  if (fault !== null) throw new WinnowError("file", `${what}: ${fault}`);
  const ids = [...config.bos_token_id, ...config.eos_token_id];
  const outside = ids.find((id) => id >= config.vocab_size);
  if (outside !== undefined) {
    throw new WinnowError(
      "file",
      `${what}: token id ${outside} is named, expected ids below vocab_size, ${config.vocab_size}`,
    );
  }
  expectPlain(config, family, what);
  const rope = parseRope(config, what);
  return {
    architecture: family.architecture,
    width: config.hidden_size,
    feedForward: config.intermediate_size,
    layers: config.num_hidden_layers,
    queryHeads,
    kvHeads,
    headDim,
    sights: layersOf(family, {
      layers: config.num_hidden_layers,
      window: config.sliding_window === undefined ? family.window : config.sliding_window,
      fields: {
        isUsed: config.use_sliding_window ?? null,
        first: config.max_window_layers ?? null,
        pattern: config.sliding_window_pattern ?? null,
      },
      ...listed(config, what),
    }),
    attentionScale: 1 / Math.sqrt(config.query_pre_attn_scalar ?? headDim),
    scoreCap: orDefault(config.attn_logit_softcapping, family.caps?.scores),
    logitCap: orDefault(config.final_logit_softcapping, family.caps?.logits),
    context: stretchedContext(config.max_position_embeddings, rope.ropeScaling),
    vocabulary: config.vocab_size,
    normEpsilon: config.rms_norm_eps,
    ...rope,
    windowTheta: family.windowTheta === null ? null : (rope.windowTheta ?? family.windowTheta),
    qkvBias: family.qkvBias ?? config.attention_bias ?? false,
    outputBias: family.qkvBias === null && (config.attention_bias ?? false),
    feedForwardBias: config.mlp_bias ?? false,
    normOffset: family.normOffset,
    tiedHead: config.tie_word_embeddings ?? family.tiedHead,
    bosIds: config.bos_token_id,
    eosIds: config.eos_token_id,
  };
}

function familyOf(kind: z.output<typeof kindSchema>, what: string): Family {
  const named = kind.architectures ?? [];
  const family = FAMILIES.find(({ architecture, modelType }) =>
    named.length > 0 ? named.includes(architecture) : kind.model_type === modelType,
  );
  if (family !== undefined) return family;
  const found =
    named.length > 0
      ? named.map(quote).join(", ")
      : kind.model_type == null
        ? "not named"
        : `of model_type ${quote(kind.model_type)}`;
  throw new WinnowError(
    "model",
    `${what}: architecture ${found} is not supported; supported: ${FAMILIES.map(({ architecture }) => architecture).join(", ")}`,
  );
}

/** Null switches off what a family has by default. */
function orDefault(configured: number | null | undefined, byDefault: number | undefined): number | null {
  return configured === undefined ? (byDefault ?? null) : configured;
}

/** Layers as lists have them, where there are lists. */
function listed(
  { num_hidden_layers: layers, layer_types: types, no_rope_layers: rotated }: z.output<typeof configSchema>,
  what: string,
): { readonly windowed: readonly boolean[] | null; readonly rotated: readonly boolean[] | null } {
  for (const [field, list] of Object.entries({ layer_types: types, no_rope_layers: rotated })) {
    if (list != null && list.length !== layers) {
      throw new WinnowError("file", `${what}: ${field} has ${list.length} entries, expected ${layers}, one a layer`);
    }
  }
  const unknown = types?.find((type) => type !== SLIDING && type !== FULL);
  if (unknown !== undefined) {
    throw new WinnowError(
      "model",
      `${what}: layer_types has ${quote(unknown)}, which is not supported; supported: ${FULL}, ${SLIDING}`,
    );
  }
  return {
    windowed: types?.map((type) => type === SLIDING) ?? null,
    // Despite its name it has 1 for layers that are rotated.
    rotated: rotated?.map((entry) => entry !== 0) ?? null,
  };
}

const FULL = "full_attention";
const SLIDING = "sliding_attention";

function shapeFault(heads: {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}): string | null {
  const { queryHeads, kvHeads, headDim } = heads;
  if (queryHeads % kvHeads !== 0) {
    return `num_attention_heads is ${queryHeads}, expected a multiple of num_key_value_heads, ${kvHeads}`;
  }
  if (!Number.isInteger(headDim)) {
    return `hidden_size is not a multiple of num_attention_heads, ${queryHeads}; give head_dim`;
  }
  if (headDim % 2 !== 0) return `head_dim is ${headDim}, expected an even number, since rotation turns pairs`;
  return null;
}

/** Refuse what would run and give wrong numbers. */
function expectPlain(config: z.output<typeof configSchema>, { activation }: Family, what: string): void {
  const refuse = (field: string, found: unknown, supported: string): never => {
    throw new WinnowError(
      "model",
      `${what}: ${field} ${quote(String(found))} is not supported; supported: ${supported}`,
    );
  };
  // Gemma's first files name an activation in `hidden_act` that they do not have.
  const [field, found] =
    config.hidden_activation != null
      ? ["hidden_activation", config.hidden_activation]
      : ["hidden_act", activation === "silu" ? config.hidden_act : null];
  if (found != null && found !== activation) refuse(field, found, activation);
  if (config.partial_rotary_factor != null && config.partial_rotary_factor !== 1) {
    refuse("partial_rotary_factor", config.partial_rotary_factor, "1");
  }
  if (config.quantization_config != null) {
    throw new WinnowError(
      "model",
      `${what}: quantization_config: quantised weights are not supported; use the F32, F16 or BF16 checkpoint`,
    );
  }
}
