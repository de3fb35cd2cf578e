import { column } from "@winnow/core-tensor";

import { definePolicy, defineStatistic } from "../plugin";
import { OBSERVED_ROWS, besideWindow } from "./observation-window";

/** Neighbouring positions that share the greatest of their weights (SnapKV's settings for LongBench: max pooling, 7). */
const POOLED = 7;

/**
 * The weight from the prompt's last rows, of which each slot has the greatest in its neighbourhood, so that what stands
 * around a clue is kept with it (SnapKV, arXiv 2404.14469, section 4.2). The rows' own slots have none.
 */
export const pooledWindowMass = defineStatistic({
  name: "pooledWindowMass",
  description: "windowMass, the greatest of seven neighbours (SnapKV, arXiv 2404.14469)",
  needs: ["windowMass"],
  compute: ({ count, now, position, columns }) => {
    const mass = columns.windowMass ?? new Float32Array(count);
    const isObserved = (slot: number): boolean => now - (position[slot] ?? 0) >= OBSERVED_ROWS;
    const reach = (POOLED - 1) / 2;
    return Float32Array.from({ length: count }, (_, slot) => {
      if (!isObserved(slot)) return 0;
      let greatest = 0;
      for (let other = Math.max(0, slot - reach); other <= Math.min(count - 1, slot + reach); other++) {
        if (isObserved(other)) greatest = Math.max(greatest, mass[other] ?? 0);
      }
      return greatest;
    });
  },
});

/** `pooledWindowMass` as a score. */
export const POOLED_WINDOW_MASS = column(pooledWindowMass.name);

/**
 * The prompt's last 32 tokens, and those before them that these attend to most (SnapKV, arXiv 2404.14469, section 4). It cuts
 * prompts; what is generated is kept.
 *
 * @example resolvePolicy("snapkv(30%)"); // 30 % of the length, besides the last 32 tokens
 */
export const snapkv = definePolicy({
  name: "snapkv",
  source: "SnapKV, arXiv 2404.14469, section 4",
  budget: 0.5,
  generated: "keep",
  candidates: (x) => [besideWindow(x, POOLED_WINDOW_MASS)],
});
