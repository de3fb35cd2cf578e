import { kvRowBytes } from "@winnow/core-tensor";
import type { Model, Sequence } from "@winnow/runtime";

import { causalPairs, type Work } from "./work";

/** A token: every weight of a layer and the head once, every key and value that is kept once. */
export function tokenWork(model: Model, sequence: Sequence): Work {
  const { layers, head } = weightsOf(model);
  const slots = keptSlots(sequence);
  return {
    bytes: layers.bytes + head.bytes + slots * slotBytes(model),
    flops: 2 * (layers.elements + head.elements) + attentionFlops(model) * slots,
  };
}

/**
 * Reading a prompt: every weight once, and every key and value that is kept written once. Each row but the newest could
 * do without the last layer's products behind attention; they are counted for the newest row only, like the head.
 *
 * @param sequence that has read the prompt, and nothing else.
 */
export function promptWork(model: Model, sequence: Sequence): Work {
  const { layers, head, behindLastAttention } = weightsOf(model);
  const rows = sequence.tokens.length;
  const perHead = causalPairs(rows) * sequence.layers.length;
  const { kvHeads } = model.engine.decoder.shape.heads;
  return {
    bytes: layers.bytes + head.bytes + keptSlots(sequence) * slotBytes(model),
    flops:
      2 * (rows * (layers.elements - behindLastAttention) + behindLastAttention + head.elements) +
      attentionFlops(model) * perHead * kvHeads,
  };
}

interface Weights {
  readonly layers: { readonly bytes: number; readonly elements: number };
  readonly head: { readonly bytes: number; readonly elements: number };
  /** Elements of the last layer's weights that come behind its attention. */
  readonly behindLastAttention: number;
}

function weightsOf({ engine }: Model): Weights {
  const { layers, head } = engine.decoder.weights;
  const products = layers.flatMap(({ qkv, output, gateUp, down }) => [...qkv, output, gateUp, down]);
  const last = layers.at(-1);
  return {
    layers: total(products.map(({ weight }) => weight)),
    head: total([head]),
    behindLastAttention:
      last === undefined ? 0 : total([last.output, last.gateUp, last.down].map(({ weight }) => weight)).elements,
  };
}

function total(tensors: readonly { readonly bytes: number; readonly shape: readonly number[] }[]): {
  readonly bytes: number;
  readonly elements: number;
} {
  return {
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    elements: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0),
  };
}

/** Slots of all KV heads of all layers. */
function keptSlots({ layers }: Sequence): number {
  return layers.flatMap(({ lengths }) => lengths).reduce((sum, length) => sum + length, 0);
}

/** A key and a value of one KV head. */
function slotBytes({ engine }: Model): number {
  return 2 * kvRowBytes(engine.store.layout.kvType, engine.decoder.shape.heads.headDim);
}

/** For a row and a slot of a KV head, which all query heads of its group attend to. */
function attentionFlops({ engine }: Model): number {
  const { queryHeads, kvHeads, headDim } = engine.decoder.shape.heads;
  return 4 * (queryHeads / kvHeads) * headDim;
}
