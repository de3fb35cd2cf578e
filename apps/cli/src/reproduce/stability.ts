import { SHARE_NAMES, type AttentionShares, type HeadReport } from "@winnow/profiler";
import type { Model } from "@winnow/runtime";

import { throwIfInterrupted } from "../interrupt";
import { STEPS } from "./paper";
import { profiledHeads, promptTokensFor, type StructureOptions } from "./profiled-heads";
import { promptOf } from "./prompt-of";

/** How attention's structure changes while text is generated (figure 4). */
export interface Stability {
  readonly promptTokens: number;
  readonly steps: readonly StabilityStep[];
}

export interface StabilityStep {
  /** Tokens generated so far. */
  readonly generated: number;
  /** Of the first prompt, by layer and KV head: where the attention of all rows so far goes. */
  readonly heads: readonly (readonly (AttentionShares | null)[])[];
  /** Of the heads of all prompts, those that take the candidate which they took at the prompt's end. */
  readonly same: number;
  /** How much attention has moved between the shares since then, a mean over heads: 0 for none, 1 for all of it. */
  readonly moved: number;
  /** The same where only the latest rows are looked at, of which there are an eighth of the prompt's, and at least 32. */
  readonly lateMoved: number;
}

/** The heads of one text at one step, in one order, by the rows that were profiled. */
interface Look {
  readonly byLayer: readonly (readonly HeadReport[])[];
  readonly all: readonly HeadReport[];
  readonly late: readonly HeadReport[];
}

/** @throws WinnowError `aborted` */
export async function measureStability(model: Model, options: StructureOptions): Promise<Stability> {
  const { seed, samples, recovery, signal, onProgress } = options;
  const most = Math.max(...STEPS);
  const promptTokens = promptTokensFor(model, most);
  // By step, then prompt.
  const looks = STEPS.map((): Look[] => []);
  for (let sample = 0; sample < samples; sample++) {
    const { ids } = promptOf(model, promptTokens, seed, sample);
    const written = await continued(model, ids, most, signal);
    for (const [step, generated] of STEPS.entries()) {
      throwIfInterrupted(signal);
      const text = [...ids, ...written.slice(0, generated)];
      const byLayer = await profiledHeads(model, text, recovery, "prompt");
      const late = await profiledHeads(model, text, recovery, "late");
      looks[step]?.push({ byLayer, all: byLayer.flat(), late: late.flat() });
    }
    onProgress?.();
  }
  const [before = []] = looks;
  return {
    promptTokens,
    steps: STEPS.map((generated, step) => {
      const now = looks[step] ?? [];
      return {
        generated,
        heads: (now[0]?.byLayer ?? []).map((heads) => heads.map(({ attention }) => attention)),
        same: meanOver(before, now, "all", (a, b) => (a.policy === b.policy ? 1 : 0)),
        moved: meanOver(before, now, "all", movedBetween),
        lateMoved: meanOver(before, now, "late", movedBetween),
      };
    }),
  };
}

function meanOver(
  before: readonly Look[],
  now: readonly Look[],
  rows: "all" | "late",
  of: (before: HeadReport, now: HeadReport) => number,
): number {
  const values = now.flatMap((look, prompt) =>
    look[rows].flatMap((head, i) => {
      const first = before[prompt]?.[rows][i];
      return first === undefined ? [] : [of(first, head)];
    }),
  );
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Total variation of two heads' shares. */
function movedBetween({ attention: a }: HeadReport, { attention: b }: HeadReport): number {
  if (a === null || b === null) return NaN;
  return SHARE_NAMES.reduce((sum, name) => sum + Math.abs(a[name] - b[name]), 0) / 2;
}

async function continued(
  model: Model,
  ids: readonly number[],
  maxTokens: number,
  signal: AbortSignal | undefined,
): Promise<readonly number[]> {
  using session = model.createSession({ policy: "full" });
  const options = { maxTokens, ignoreEos: true, temperature: 0, signal };
  const { tokens } = await session.generate([{ ids, probe: null }], options).report();
  throwIfInterrupted(signal);
  return tokens;
}
