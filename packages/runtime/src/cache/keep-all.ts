import { WinnowError, type KvScratch } from "@winnow/core-tensor";

import type { LayerProfile } from "./layer-profile";
import type { Sequence } from "./sequence";
import { KEEP_ALL } from "./within-window";

/** Move all new rows of layer l from the scratch into pages, behind the slots that are there. */
export function keepAll(sequence: Sequence, l: number, { slots, rowCount }: LayerProfile, scratch: KvScratch): void {
  const { backend, decoder } = sequence.engine;
  const { heads } = decoder.shape;
  const layer = sequence.layers[l];
  if (layer === undefined) throw new WinnowError("range", `layer ${l} has no cache`);
  backend.select({
    slots: slots.table,
    headsPerLayer: heads.kvHeads,
    programs: layer.lengths.map(() => KEEP_ALL),
    scores: [],
    now: sequence.tokens.length - 1,
    firstRow: l * heads.kvHeads,
    keep: slots.keep,
    kept: slots.kept,
  });
  const longer = layer.lengths.map((length) => length + rowCount);
  longer.forEach((length, head) => {
    layer.resize(head, length);
  });
  backend.gather({
    heads,
    paged: layer.paged,
    slots: slots.table,
    keep: slots.keep,
    firstRow: 0,
    scratch,
    start: 0,
    count: rowCount,
  });
}
