import { familyNamed } from "../models/families";
import type { LayerNames } from "../models/family";

/** Names outside of the layers, in a GGUF file and in Hugging Face layout. */
const OUTER: ReadonlyMap<string, string> = new Map([
  ["token_embd", "model.embed_tokens"],
  ["output_norm", "model.norm"],
  ["output", "lm_head"],
]);

/** What tensors of a family's files are called in Hugging Face layout, and the other way. */
export class GgufNames {
  readonly #toHuggingFace: ReadonlyMap<string, string>;
  readonly #toGguf: ReadonlyMap<string, string>;

  constructor(architecture: string) {
    const inner = innerNames(familyNamed(architecture).names);
    this.#toHuggingFace = new Map(inner);
    this.#toGguf = new Map(inner.map(([own, name]) => [name, own]));
  }

  /** A tensor's name in Hugging Face layout; its own where there is none. */
  toHuggingFace(own: string): string {
    const {
      layer,
      part = "",
      kind = "",
    } = /^(?:blk\.(?<layer>\d+)\.)?(?<part>\w+)\.(?<kind>weight|bias)$/.exec(own)?.groups ?? {};
    const known = layer === undefined ? OUTER.get(part) : this.#toHuggingFace.get(part);
    if (known === undefined) return own;
    return layer === undefined ? `${known}.${kind}` : `model.layers.${layer}.${known}.${kind}`;
  }

  /** A tensor's name in a GGUF file; null where there is none. */
  toGguf(name: string): string | null {
    const { stem = "", kind = "" } = /^(?<stem>.+)\.(?<kind>weight|bias)$/.exec(name)?.groups ?? {};
    const { layer, part = "" } = /^model\.layers\.(?<layer>\d+)\.(?<part>.+)$/.exec(stem)?.groups ?? {};
    if (layer !== undefined) {
      const own = this.#toGguf.get(part);
      return own === undefined ? null : `blk.${layer}.${own}.${kind}`;
    }
    for (const [own, known] of OUTER) if (known === stem) return `${own}.${kind}`;
    return null;
  }
}

/** Names within a layer, in a GGUF file and in Hugging Face layout (gguf-py, `tensor_mapping.py`). */
function innerNames(names: LayerNames): (readonly [string, string])[] {
  const { qkv, gateUp } = names;
  const pairs: readonly (readonly [string, string | null])[] = [
    ["attn_norm", names.attentionNorm],
    ...(qkv.length === 1
      ? ([["attn_qkv", qkv[0]]] as const)
      : ([
          ["attn_q", qkv[0]],
          ["attn_k", qkv[1]],
          ["attn_v", qkv[2]],
        ] as const)),
    ["attn_q_norm", names.queryNorm],
    ["attn_k_norm", names.keyNorm],
    ["attn_output", names.output],
    ["post_attention_norm", names.attentionPostNorm],
    ["ffn_norm", names.feedForwardNorm],
    ...(gateUp.length === 1
      ? ([["ffn_up", gateUp[0]]] as const)
      : ([
          ["ffn_gate", gateUp[0]],
          ["ffn_up", gateUp[1]],
        ] as const)),
    ["ffn_down", names.down],
    ["post_ffw_norm", names.feedForwardPostNorm],
  ];
  return pairs.flatMap(([own, name]) => (name === null ? [] : [[own, name] as const]));
}
