import type { RankScale, SummariseSpec } from "../backend";
import { WinnowError } from "../errors";
import { rankSlots } from "../select-program";
import { expectShape } from "../shape";
import type { SlotView } from "../slot-view";
import { f32Of, u32Of } from "./cpu-tensor";
import type { Poll } from "./poll";
import { slotViews } from "./slot-views";

/** Sums of the mass table by (query head, class, rank bucket, band), and counts of columns by (KV head, class, bucket). */
export function summarise(spec: SummariseSpec, poll: Poll): void {
  const { heads, slots, classCount, scales } = spec;
  const table = f32Of(spec.table);
  const tableColumns = spec.table.shape[1] ?? 0;
  const bands = spec.table.shape[2] ?? 1;
  const sums = f32Of(spec.sums).fill(0);
  const counts = u32Of(spec.counts).fill(0);
  const classes = u32Of(spec.classes);
  const shared = spec.classes.shape[0] === 1;
  const perGroup = heads.queryHeads / heads.kvHeads;
  const views = slotViews(slots, spec.now, spec.firstRow);
  const buckets = scales.reduce((product, scale) => product * (scale.edges.length + 1), 1);
  expectShape("summarise", "table", spec.table.shape, [heads.queryHeads, null, bands]);
  expectShape("summarise", "sums", spec.sums.shape, [heads.queryHeads, classCount, buckets, bands]);
  expectShape("summarise", "counts", spec.counts.shape, [heads.kvHeads, classCount, buckets]);
  expectShape("summarise", "classes", spec.classes.shape, [shared ? 1 : heads.kvHeads, slots.capacity]);
  // Float64 sums, rounded once: a cell may add up thousands of columns.
  const cells = new Float64Array(classCount * buckets * bands);
  for (let head = 0; head < heads.kvHeads; head++) {
    poll();
    const count = views[head]?.count ?? 0;
    const bucketOf = bucketsOf(views, head, scales);
    if (count > tableColumns) {
      throw new WinnowError(
        "shape",
        `summarise: head ${head} has ${count} slots, and the mass table ${tableColumns} columns`,
      );
    }
    const cellOf = Uint32Array.from({ length: count }, (_, column) => {
      const group = classes[(shared ? 0 : head * slots.capacity) + column] ?? 0;
      if (group >= classCount) {
        throw new WinnowError(
          "range",
          `summarise: column ${column} has the class ${group}, expected one below ${classCount}`,
        );
      }
      return group * buckets + (bucketOf[column] ?? 0);
    });
    for (const cell of cellOf) {
      const at = head * classCount * buckets + cell;
      counts[at] = (counts[at] ?? 0) + 1;
    }
    for (let g = 0; g < perGroup; g++) {
      const queryHead = head * perGroup + g;
      cells.fill(0);
      for (let column = 0; column < count; column++) {
        const from = (queryHead * tableColumns + column) * bands;
        const to = (cellOf[column] ?? 0) * bands;
        for (let band = 0; band < bands; band++) cells[to + band] = (cells[to + band] ?? 0) + (table[from + band] ?? 0);
      }
      sums.set(cells, queryHead * cells.length);
    }
  }
}

/** For each column of a head, its buckets over all scales as one number, the first scale slowest. */
function bucketsOf(views: readonly SlotView[], head: number, scales: readonly RankScale[]): Uint32Array {
  const buckets = new Uint32Array(views[head]?.count ?? 0);
  for (const { score, edges, within, scope } of scales) {
    const ranks = rankSlots(views, head, score, within, scope);
    for (let column = 0; column < buckets.length; column++) {
      const rank = ranks[column] ?? Infinity;
      let bucket = 0;
      while (bucket < edges.length && rank >= (edges[bucket] ?? 0)) bucket++;
      buckets[column] = (buckets[column] ?? 0) * (edges.length + 1) + bucket;
    }
  }
  return buckets;
}
