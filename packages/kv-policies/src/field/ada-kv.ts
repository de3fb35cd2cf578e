import { evaluate, type Expr } from "@winnow/core-tensor";

import { slotsOf } from "../amount";
import { defineStrategy, type StrategyPlugin } from "../plugin";
import type { PresetRows } from "../presets";
import { besideWindow, OBSERVED_ROWS } from "./observation-window";
import { sharedBudget } from "./shared-budget";
import { POOLED_WINDOW_MASS, pooledWindowMass } from "./snapkv";

/** The part of a head's equal share that is its own (arXiv 2407.11550, section 3.3: the safeguard α). */
const SAFEGUARD = 0.2;

/**
 * Ada-KV over any score (arXiv 2407.11550, algorithm 1): the heads of a layer share a budget, which goes where the greatest
 * scores are; a fifth of an equal share is each head's own.
 *
 * @param needs the columns that the score reads.
 * @example adaKv({ name: "ada-hitters", score: column("mass"), needs: ["mass"] })
 */
export function adaKv(options: {
  readonly name: string;
  readonly score: Expr;
  readonly needs: readonly string[];
  readonly rows?: PresetRows;
}): StrategyPlugin {
  const { name, score, needs, rows = "prompt" } = options;
  return defineStrategy({
    name,
    source: "Ada-KV, arXiv 2407.11550, algorithm 1",
    needs,
    rows,
    budget: 0.5,
    generated: "keep",
    decide: ({ heads }, x) => {
      const scores = heads.map((head) => {
        const values = evaluate(score, head);
        return values.filter((_, slot) => head.now - (head.position[slot] ?? 0) >= OBSERVED_ROWS);
      });
      const equal = Math.min(slotsOf(x, heads[0]?.length ?? 0), scores[0]?.length ?? 0);
      const floor = Math.floor(equal * SAFEGUARD);
      return sharedBudget(scores, equal * heads.length).map((count) =>
        besideWindow(Math.round(count * (1 - SAFEGUARD) + floor), score, x),
      );
    },
  });
}

/** Ada-KV over SnapKV's scores, as in the paper. */
export const adaSnapkv = adaKv({ name: "ada-kv", score: POOLED_WINDOW_MASS, needs: [pooledWindowMass.name] });
