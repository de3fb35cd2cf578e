import type { ModelConfig } from "../files/config";
import { familyNamed } from "../models/families";
import type { GgufFieldValue } from "./gguf-header-writer";

/** What a GGUF file says of a model's shape (ggml/docs/gguf.md), by key. */
export function ggufModelFields(config: ModelConfig): Map<string, GgufFieldValue> {
  const { architecture } = familyNamed(config.architecture).gguf;
  const fields = new Map<string, GgufFieldValue>([["general.architecture", { type: "string", value: architecture }]]);
  const whole = (key: string, value: number): void => {
    fields.set(`${architecture}.${key}`, { type: "uint32", value });
  };
  const float = (key: string, value: number): void => {
    fields.set(`${architecture}.${key}`, { type: "float32", value });
  };
  const scaling = config.ropeScaling;
  whole("block_count", config.layers);
  whole("context_length", scaling.kind === "yarn" ? scaling.originalContext : config.context);
  whole("embedding_length", config.width);
  whole("feed_forward_length", config.feedForward);
  whole("attention.head_count", config.queryHeads);
  whole("attention.head_count_kv", config.kvHeads);
  whole("attention.key_length", config.headDim);
  whole("attention.value_length", config.headDim);
  float("attention.layer_norm_rms_epsilon", config.normEpsilon);
  whole("rope.dimension_count", config.headDim);
  float("rope.freq_base", config.ropeTheta);
  const window = config.sights.find((sight) => sight.window !== null)?.window ?? null;
  if (window !== null) whole("attention.sliding_window", window);
  if (config.scoreCap !== null) float("attn_logit_softcapping", config.scoreCap);
  if (config.logitCap !== null) float("final_logit_softcapping", config.logitCap);
  switch (scaling.kind) {
    case "linear":
    case "yarn":
      fields.set(`${architecture}.rope.scaling.type`, { type: "string", value: scaling.kind });
      float("rope.scaling.factor", scaling.factor);
      if (scaling.kind === "yarn") whole("rope.scaling.original_context_length", scaling.originalContext);
      break;
    case "longrope":
      whole("rope.scaling.original_context_length", scaling.originalContext);
      float("rope.scaling.attn_factor", scaling.magnitude);
      break;
    default:
  }
  return fields;
}
