import { slotsOf } from "../amount";
import { defineStrategy } from "../plugin";
import { none, top } from "../policy";
import { sharedBudget } from "./shared-budget";

/**
 * The greatest weight that any row gave a slot while the text was being repeated, with one budget over all heads of all
 * layers (KVzip, arXiv 2505.23416, section 3). It cuts prompts; what is generated is kept.
 */
export const kvzip = defineStrategy({
  name: "kvzip",
  source: "KVzip, arXiv 2505.23416, section 3",
  scope: "model",
  needs: ["maxWeight"],
  rows: "probe",
  budget: 0.5,
  generated: "keep",
  decide: ({ layers }, x) => {
    const heads = layers.flatMap((layer) => layer.heads);
    const total = heads.reduce((sum, { length }) => sum + slotsOf(x, length), 0);
    const counts = sharedBudget(
      heads.map(({ columns, count }) => columns.maxWeight?.subarray(0, count) ?? new Float32Array(count)),
      total,
    );
    let next = 0;
    return layers.map((layer) =>
      layer.heads.map(() => {
        const count = counts[next++] ?? 0;
        return count === 0 ? none() : top("maxWeight", count);
      }),
    );
  },
});
