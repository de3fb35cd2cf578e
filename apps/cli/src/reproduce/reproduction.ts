import type { CutPoint } from "../eval/cut-point";
import type { Latency } from "./latency";
import type { PoliciesByLayer } from "./policies-by-layer";
import type { Profiling } from "./profiling";
import type { Quality } from "./quality";
import type { Stability } from "./stability";

/** Everything of the paper that can be measured on another model. */
export const PARTS = ["table1", "table2", "table3", "table4", "table5", "figure3", "figure4", "figure6"] as const;
export type Part = (typeof PARTS)[number];

/** What was measured; null for parts that were not asked for. */
export interface Reproduction {
  readonly model: string;
  readonly backend: string;
  readonly question: CutPoint;
  readonly seed: number;
  /** The most tokens of a context that questions are asked about. */
  readonly tokens: number;
  /** T of all but table 1. */
  readonly recovery: number;
  /** Names of the tasks, whose answers are compared with the full cache's. */
  readonly tasks: readonly string[];
  /** Every policy of tables 1, 4 and 5 and of figure 6, the full cache first. */
  readonly quality: readonly Quality[] | null;
  readonly latency: readonly Latency[] | null;
  readonly profiling: Profiling | null;
  readonly policies: PoliciesByLayer | null;
  readonly stability: Stability | null;
  readonly parts: readonly Part[];
}
