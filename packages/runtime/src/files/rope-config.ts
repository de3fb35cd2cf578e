import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import type { RopeScaling } from "../models/rope";
import { checkJson } from "./json-file";
import { quote } from "./quote";

const positive = z.number("expected a number").positive("expected above 0");
const scalingSchema = z
  .looseObject({
    rope_type: z.string("expected a string").nullish(),
    // How it was spelled before Transformers 4.43.
    type: z.string("expected a string").nullish(),
    rope_theta: positive.nullish(),
  })
  .nullish();

const linearSchema = z.object({ factor: z.number("expected a number").min(1, "expected at least 1") });
const llama3Schema = z.object({
  factor: z.number("expected a number").min(1, "expected at least 1"),
  low_freq_factor: positive,
  high_freq_factor: positive,
  original_max_position_embeddings: z.int("expected a whole number").positive("expected at least 1"),
});

/** The fields of `config.json` about rotary embeddings. */
export const ropeSchema = z.object({
  rope_theta: positive.nullish(),
  rope_scaling: scalingSchema,
  // Transformers 5 puts theta and scaling into one object.
  rope_parameters: scalingSchema,
});

const DEFAULT_THETA = 10_000;

/** @throws WinnowError `model` for a kind of scaling that Winnow does not have, `file` where its numbers are missing. */
export function parseRope(
  config: z.output<typeof ropeSchema>,
  what: string,
): { readonly ropeTheta: number; readonly ropeScaling: RopeScaling } {
  const field = config.rope_parameters == null ? "rope_scaling" : "rope_parameters";
  const scaling = config[field];
  const ropeTheta = config.rope_parameters?.rope_theta ?? config.rope_theta ?? DEFAULT_THETA;
  return { ropeTheta, ropeScaling: parseScaling(scaling, `${what}: ${field}`) };
}

function parseScaling(scaling: z.output<typeof scalingSchema>, what: string): RopeScaling {
  const kind = scaling?.rope_type ?? scaling?.type ?? "default";
  switch (kind) {
    case "default":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: checkJson(scaling, linearSchema, what).factor };
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
    default:
      throw new WinnowError(
        "model",
        `${what}: type ${quote(kind)} is not supported; supported: default, linear, llama3`,
      );
  }
}
