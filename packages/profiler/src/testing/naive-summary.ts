import { rankSlots, type SlotView } from "@winnow/core-tensor";

import type { MassSummary } from "../price";
import type { Question } from "../question";

/** Attention weights [query head][row][column]. */
export type Maps = readonly (readonly (readonly number[])[])[];

/** What a backend's `summarise` would answer, from explicit maps: cell by cell, in float64. */
export function summariseMaps(
  question: Question,
  maps: Maps,
  views: readonly SlotView[],
  kvHeads: number,
): MassSummary {
  const { classCount, buckets, bands, scales, classes, classRows } = question;
  const bandCount = bands.length + 1;
  const sums = new Float64Array(maps.length * classCount * buckets * bandCount);
  const counts = new Uint32Array(kvHeads * classCount * buckets);
  const capacity = classes.length / classRows;
  const perGroup = maps.length / kvHeads;
  for (let head = 0; head < kvHeads; head++) {
    const ranks = scales.map(({ score, within, scope }) => rankSlots(views, head, score, within, scope));
    const view = views[head];
    if (view === undefined) continue;
    for (let c = 0; c < view.count; c++) {
      const bucket = scales.reduce((number, { edges }, s) => {
        const own = edges.filter((edge) => (ranks[s]?.[c] ?? Infinity) >= edge).length;
        return number * (edges.length + 1) + own;
      }, 0);
      const cell = (classes[(classRows === 1 ? 0 : head * capacity) + c] ?? 0) * buckets + bucket;
      const place = head * classCount * buckets + cell;
      counts[place] = (counts[place] ?? 0) + 1;
      for (let g = 0; g < perGroup; g++) {
        const queryHead = head * perGroup + g;
        maps[queryHead]?.forEach((row, i) => {
          const band = bands.filter((window) => i - c >= window).length;
          const at = (queryHead * classCount * buckets + cell) * bandCount + band;
          sums[at] = (sums[at] ?? 0) + (row[c] ?? 0);
        });
      }
    }
  }
  return { sums: Float32Array.from(sums), counts };
}
