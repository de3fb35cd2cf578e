import type { HeadView } from "@winnow/kv-policies";

import type { HeadVectors } from "./head-vectors";
import type { Sequence } from "./sequence";
import type { SlotBuffers } from "./slot-buffers";

/**
 * Rows of a slot table on the host.
 *
 * @param names columns to bring along.
 * @param firstRow number of the table's first row over all layers.
 */
export async function downloadViews(
  sequence: Sequence,
  { table }: SlotBuffers,
  names: readonly string[],
  firstRow: number,
): Promise<HeadView[]> {
  const { backend } = sequence.engine;
  const counts = await backend.download(table.counts);
  const position = Uint32Array.from(await backend.download(table.position));
  const flags = Uint32Array.from(await backend.download(table.flags));
  const columns = new Map<string, Float32Array>();
  for (const name of names) {
    const column = table.columns[name];
    if (column !== undefined) columns.set(name, Float32Array.from(await backend.download(column)));
  }
  const { promptTokens, tokens, classes } = sequence;
  return Array.from({ length: table.rowCount }, (_, row) => {
    const start = row * table.capacity;
    const end = start + (counts[row] ?? 0);
    return {
      row: firstRow + row,
      count: end - start,
      now: tokens.length - 1,
      position: position.subarray(start, end),
      flags: flags.subarray(start, end),
      columns: Object.fromEntries([...columns].map(([name, values]) => [name, values.subarray(start, end)])),
      promptTokens,
      length: tokens.length,
      classes,
    };
  });
}

/** Views with the keys and values behind their slots, and what asked for these. */
export function withVectors(views: readonly HeadView[], vectors: readonly HeadVectors[]): HeadView[] {
  return views.map((view, row) => {
    const of = vectors[row];
    if (of === undefined) return view;
    const { keys, values, queries } = of;
    return { ...view, keys, values, ...(queries === null ? {} : { queries }) };
  });
}
