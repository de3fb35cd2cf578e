import type { Model } from "@winnow/runtime";

import type { CutPoint } from "../eval/cut-point";
import type { Task } from "../eval/tasks/task";
import { paperCells } from "./chains";
import { measureLatency } from "./latency";
import type { LatencySetting } from "./paper";
import { measurePolicies } from "./policies-by-layer";
import { measureProfiling } from "./profiling";
import { measureQuality } from "./quality";
import type { Part, Reproduction } from "./reproduction";
import { measureStability } from "./stability";

export interface ReproduceOptions {
  readonly parts: readonly Part[];
  readonly tasks: readonly Task[];
  readonly seed: number;
  /** Examples of each task, and prompts that are profiled. */
  readonly samples: number;
  readonly tokens: number;
  readonly question: CutPoint;
  /** T of all but table 1. */
  readonly recovery: number;
  readonly latency: readonly LatencySetting[];
  /** A run of table 2 that takes longer is given up. */
  readonly seconds: number;
  readonly repeats: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Measure what the paper measured, as far as it was asked for.
 *
 * @throws WinnowError `aborted`
 */
export async function reproduce(model: Model, options: ReproduceOptions): Promise<Reproduction> {
  const { parts, tasks, seed, samples, tokens, question, recovery, signal, repeats } = options;
  const has = (part: Part): boolean => parts.includes(part);
  const cells = paperCells(
    { table1: has("table1"), table4: has("table4"), table5: has("table5"), figure6: has("figure6") },
    recovery,
  );
  const asked = cells.length === 0 ? 0 : tasks.length * samples;
  const total =
    asked + (has("table2") ? options.latency.length : 0) + samples * (Number(has("figure3")) + Number(has("figure4")));
  let done = 0;
  const onProgress = (): void => options.onProgress?.(++done, total);
  const structure = { seed, samples, recovery, signal, onProgress };
  return {
    model: model.dir,
    backend: model.engine.backend.name,
    ...{ question, seed, tokens, parts, recovery },
    tasks: tasks.map(({ name }) => name),
    quality:
      asked === 0
        ? null
        : await measureQuality(
            { whole: model, quantised: new Map() },
            {
              ...{ tasks, files: [], maxTokens: 1, cells, samples, seed, tokens },
              ...{ kind: "held-out", question, saved: null, signal, onProgress },
            },
          ),
    latency: has("table2")
      ? await measureLatency(model, options.latency, { seed, seconds: options.seconds, repeats, signal, onProgress })
      : null,
    profiling: has("table3") ? await measureProfiling(model, { seed, repeats, signal }) : null,
    policies: has("figure3") ? await measurePolicies(model, structure) : null,
    stability: has("figure4") ? await measureStability(model, structure) : null,
  };
}
