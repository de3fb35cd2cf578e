import { elementCount, formatShape } from "@winnow/core-tensor";
import type { AdapterDescription } from "@winnow/gpu-backend";
import { directoryFiles, expectedTensors, parseModelConfig, type ModelFiles } from "@winnow/runtime";

import { randomModelFiles } from "./random-model";
import type { ShapeName } from "./shape-names";

/** A model to measure: the demo model with its own weights, or the shape of a published one with random weights. */
export type ModelShape =
  | { readonly kind: "demo"; readonly name: string }
  /** `config` is what the checkpoint's `config.json` says of its shape. */
  | { readonly kind: "random"; readonly name: string; readonly config: object };

const LLAMA_3 = {
  architectures: ["LlamaForCausalLM"],
  hidden_act: "silu",
  max_position_embeddings: 131_072,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  vocab_size: 128_256,
};

const LLAMA_3_ROPE = {
  rope_type: "llama3",
  high_freq_factor: 4,
  low_freq_factor: 1,
  original_max_position_embeddings: 8192,
};

/** Llama-3.2-1B's. */
export const LLAMA_32_1B = {
  ...LLAMA_3,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  head_dim: 64,
  tie_word_embeddings: true,
  rope_scaling: { ...LLAMA_3_ROPE, factor: 32 },
};

/** Llama-3.1-8B's. */
export const LLAMA_31_8B = {
  ...LLAMA_3,
  hidden_size: 4096,
  intermediate_size: 14_336,
  num_hidden_layers: 32,
  head_dim: 128,
  tie_word_embeddings: false,
  rope_scaling: { ...LLAMA_3_ROPE, factor: 8 },
};

export const SHAPES: Readonly<Record<ShapeName, ModelShape>> = {
  demo: { kind: "demo", name: "models/demo" },
  "1b": {
    kind: "random",
    name: "Llama-3.2-1B",
    config: LLAMA_32_1B,
  },
  "8b": {
    kind: "random",
    name: "Llama-3.1-8B",
    config: LLAMA_31_8B,
  },
};

/** Where a shape's model is loaded from. */
export function filesOf(shape: ModelShape, demo: string): ModelFiles {
  const files = directoryFiles(demo);
  return shape.kind === "demo" ? files : randomModelFiles(shape.name, shape.config, files);
}

/** Why a shape need not be tried on an adapter; null where it should be. Whether memory suffices shows only then. */
export function whySkipped(
  shape: ModelShape,
  { name, software, limits }: Pick<AdapterDescription, "name" | "software" | "limits">,
): string | null {
  if (shape.kind === "demo") return null;
  if (software !== null) return `${software} computes in software, and this shape is for a real GPU`;
  for (const [tensor, extents] of expectedTensors(parseModelConfig(shape.config, shape.name))) {
    const bytes = 2 * elementCount(extents);
    if (bytes > limits.maxBufferSize) {
      return (
        `"${tensor}" of shape ${formatShape(extents)} takes ${bytes} bytes in f16, and ${name} allows ` +
        `maxBufferSize = ${limits.maxBufferSize}`
      );
    }
  }
  return null;
}
