import { add, constant, mul, column } from "@winnow/core-tensor";

import { ratio, slotsOf, type Amount } from "../amount";
import { definePolicy } from "../plugin";
import { full, limit, minus, recent, union } from "../policy";
import { OBSERVED_ROWS, newest } from "./observation-window";
import { POOLED_WINDOW_MASS } from "./snapkv";

/** Keeps values from deciding where nothing is attended to (its code's ε). */
const EPSILON = 1e-4;

/**
 * Half of the budget by attention alone, the rest by attention times what a value does to the output, the L1 norm of its
 * projection (CriticalKV, arXiv 2502.03805, algorithm 1), over SnapKV's scores.
 */
export const criticalkv = definePolicy({
  name: "criticalkv",
  source: "CriticalKV, arXiv 2502.03805, algorithm 1",
  budget: 0.5,
  generated: "keep",
  candidates: (x) => {
    const window = recent(OBSERVED_ROWS);
    const half = halfOf(x);
    const first = limit(minus(full(), window), half, POOLED_WINDOW_MASS);
    const score = mul(add(POOLED_WINDOW_MASS, constant(EPSILON)), column("outputNorm"));
    return [union(newest(OBSERVED_ROWS, x), first, limit(minus(minus(full(), window), first), half, score))];
  },
});

function halfOf(x: Amount): Amount {
  return x.kind === "ratio" ? ratio(x.value / 2) : { kind: "count", value: Math.max(1, Math.ceil(slotsOf(x, 0) / 2)) };
}
