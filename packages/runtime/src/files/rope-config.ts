import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import type { RopeScaling } from "../models/rope";
import { checkJson } from "./json-file";
import { quote } from "./quote";

const positive = z.number("expected a number").positive("expected above 0");
const factor = z.number("expected a number").min(1, "expected at least 1");
const context = z.int("expected a whole number").positive("expected at least 1");
const scalingSchema = z
  .looseObject({
    rope_type: z.string("expected a string").nullish(),
    // How it was spelled before Transformers 4.43.
    type: z.string("expected a string").nullish(),
    rope_theta: positive.nullish(),
  })
  .nullish();

const linearSchema = z.object({ factor });
const dynamicSchema = z.object({ factor, original_max_position_embeddings: context.nullish() });
const llama3Schema = z.object({
  factor,
  low_freq_factor: positive,
  high_freq_factor: positive,
  original_max_position_embeddings: context,
});
const yarnSchema = z.object({
  factor,
  original_max_position_embeddings: context.nullish(),
  beta_fast: positive.nullish(),
  beta_slow: positive.nullish(),
  attention_factor: positive.nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  truncate: z.boolean("expected true or false").nullish(),
});
const factors = z.array(positive, "expected an array of numbers");
const longropeSchema = z.object({
  short_factor: factors,
  long_factor: factors,
  factor: factor.nullish(),
  original_max_position_embeddings: context.nullish(),
  attention_factor: positive.nullish(),
});

/** Transformers 5 has a scaling for each kind of layer, where they differ. */
const byLayerSchema = z.object({
  full_attention: z.looseObject({}),
  sliding_attention: z.looseObject({ rope_theta: positive.nullish() }),
});

/** The fields of `config.json` about rotary embeddings. */
export const ropeSchema = z.object({
  rope_theta: positive.nullish(),
  rope_local_base_freq: positive.nullish(),
  rope_scaling: scalingSchema,
  // Transformers 5 puts theta and scaling into one object.
  rope_parameters: scalingSchema,
  original_max_position_embeddings: context.nullish(),
});

const DEFAULT_THETA = 10_000;

/** What the fields are about. */
interface RopeFields extends z.output<typeof ropeSchema> {
  readonly max_position_embeddings: number;
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly head_dim?: number | null | undefined;
}

interface ParsedRope {
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Of layers that see a window, where it is said; else null. */
  readonly windowTheta: number | null;
}

/** @throws WinnowError `model` for a kind of scaling that Winnow does not have, `file` where its numbers are missing. */
export function parseRope(config: RopeFields, what: string): ParsedRope {
  const byLayer = byLayerSchema.safeParse(config.rope_parameters);
  if (byLayer.success) {
    const { full_attention, sliding_attention } = byLayer.data;
    const full = checkJson(full_attention, scalingSchema, `${what}: rope_parameters: full_attention`);
    const windowTheta = sliding_attention.rope_theta ?? null;
    return { ...parseRope({ ...config, rope_parameters: full }, what), windowTheta };
  }
  const field = config.rope_parameters == null ? "rope_scaling" : "rope_parameters";
  const scaling = config[field];
  const ropeTheta = config.rope_parameters?.rope_theta ?? config.rope_theta ?? DEFAULT_THETA;
  return {
    ropeTheta,
    ropeScaling: parseScaling(scaling, config, `${what}: ${field}`),
    windowTheta: config.rope_local_base_freq ?? null,
  };
}

/** The longest sequence that a model reads, where its configuration has the context before it was stretched. */
export function stretchedContext(configured: number, scaling: RopeScaling): number {
  return scaling.kind === "dynamic" || scaling.kind === "yarn"
    ? Math.max(configured, Math.round(scaling.originalContext * scaling.factor))
    : configured;
}

/** What YaRN multiplies queries and keys by (arXiv 2309.00071, equation 22). */
export function yarnMagnitude(factor: number): number {
  return 0.1 * Math.log(factor) + 1;
}

function parseScaling(scaling: z.output<typeof scalingSchema>, config: RopeFields, what: string): RopeScaling {
  const kind = scaling?.rope_type ?? scaling?.type ?? "default";
  const configured = config.original_max_position_embeddings ?? config.max_position_embeddings;
  switch (kind) {
    case "default":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: checkJson(scaling, linearSchema, what).factor };
    case "dynamic": {
      const { factor, original_max_position_embeddings } = checkJson(scaling, dynamicSchema, what);
      return { kind: "dynamic", factor, originalContext: original_max_position_embeddings ?? configured };
    }
    case "llama3": {
      const values = checkJson(scaling, llama3Schema, what);
      if (values.high_freq_factor <= values.low_freq_factor) {
        throw new WinnowError(
          "file",
          `${what}: high_freq_factor is ${values.high_freq_factor}, expected above low_freq_factor, ${values.low_freq_factor}`,
        );
      }
      return {
        kind: "llama3",
        factor: values.factor,
        lowFrequencyFactor: values.low_freq_factor,
        highFrequencyFactor: values.high_freq_factor,
        originalContext: values.original_max_position_embeddings,
      };
    }
    case "yarn": {
      const values = checkJson(scaling, yarnSchema, what);
      if (values.mscale != null || values.mscale_all_dim != null || values.truncate === false) {
        throw new WinnowError("model", `${what}: yarn with mscale, or without truncate, is not supported`);
      }
      return {
        kind: "yarn",
        factor: values.factor,
        originalContext: values.original_max_position_embeddings ?? configured,
        betaFast: values.beta_fast ?? 32,
        betaSlow: values.beta_slow ?? 1,
        magnitude: values.attention_factor ?? yarnMagnitude(values.factor),
      };
    }
    // What LongRoPE was called at first.
    case "su":
    case "longrope": {
      const values = checkJson(scaling, longropeSchema, what);
      const half = (config.head_dim ?? config.hidden_size / config.num_attention_heads) / 2;
      for (const [name, list] of Object.entries({
        short_factor: values.short_factor,
        long_factor: values.long_factor,
      })) {
        if (list.length !== half) {
          throw new WinnowError(
            "file",
            `${what}: ${name} has ${list.length} numbers, expected ${half}, one a frequency`,
          );
        }
      }
      const originalContext = values.original_max_position_embeddings ?? configured;
      const stretch = values.factor ?? config.max_position_embeddings / originalContext;
      return {
        kind: "longrope",
        short: values.short_factor,
        long: values.long_factor,
        originalContext,
        magnitude: values.attention_factor ?? longropeMagnitude(stretch, originalContext),
      };
    }
    default:
      throw new WinnowError(
        "model",
        `${what}: type ${quote(kind)} is not supported; supported: default, linear, dynamic, llama3, yarn, longrope`,
      );
  }
}

/** What LongRoPE multiplies queries and keys by (arXiv 2404.14219, where Phi-3 has it; Transformers' `longrope`). */
function longropeMagnitude(stretch: number, originalContext: number): number {
  return stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(originalContext));
}
