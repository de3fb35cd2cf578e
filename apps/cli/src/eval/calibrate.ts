import type { Expr } from "@winnow/core-tensor";
import { formatScore, recent, special, top, union, ratio, full, type Policy } from "@winnow/kv-policies";
import type { HeadPlan } from "@winnow/profiler";
import { Comparison, type Model, type PromptPart } from "@winnow/runtime";

import { throwIfInterrupted } from "../interrupt";
import { meanShares, type Shares } from "./shares";

export interface Calibration {
  readonly plan: Omit<HeadPlan, "format" | "version">;
  /** By layer and KV head: what adaptive keeps of a text, a mean over the texts. */
  readonly shares: Shares;
  /** And its standard deviation. */
  readonly deviations: Shares;
  /** Of the full cache's bytes, that the plan keeps of a text, a mean. */
  readonly kept: number;
}

export interface CalibrationOptions {
  /** Of the full cache's bytes. */
  readonly target: number;
  /** What ranks the slots of a head, a score over the prompt's own rows. */
  readonly score: Expr;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Corrections of all shares together, after which the plan's bytes are the target's. */
const CORRECTIONS = 3;

/**
 * A plan from probes over some texts: each head's share of the slots is the mean of what `adaptive` gives it, at a target in
 * bytes that all heads share. Which heads look things up is a property of the model, so the plan is for any text, and no probe
 * is read where it is applied; which slots a head then keeps is up to a score over the prompt's own rows.
 *
 * @param texts each a part of a prompt with its probe.
 */
export async function calibrate(
  model: Model,
  texts: readonly PromptPart[],
  options: CalibrationOptions,
): Promise<Calibration> {
  const { target, signal } = options;
  const total = texts.length * (1 + CORRECTIONS);
  let done = 0;
  const found: Shares[] = [];
  for (const text of texts) {
    throwIfInterrupted(signal);
    using session = model.createSession({ policy: "adaptive", target });
    await session.read([text], { signal });
    const { kept } = session.sequence.report();
    found.push(kept.map((heads) => heads.map((slots) => slots / text.ids.length)));
    options.onProgress?.(++done, total);
  }
  const shares = meanShares(found);
  const squares = found.map((of) =>
    of.map((heads, l) => heads.map((share, h) => (share - (shares[l]?.[h] ?? 0)) ** 2)),
  );
  const deviations = meanShares(squares).map((heads) => heads.map(Math.sqrt));
  let scale = 1;
  let plan = planOf(model, shares, scale, options);
  let kept = 1;
  for (let step = 0; step < CORRECTIONS; step++) {
    kept = 0;
    for (const text of texts) {
      using comparison = await Comparison.read(
        model,
        text,
        [{ plan: { format: "winnow-head-plan", version: 1, ...plan } }],
        { signal },
      );
      using cut = await comparison.cut(0);
      kept += cut.size.bytes / cut.size.fullBytes / texts.length;
      options.onProgress?.(++done, total);
    }
    if (step === CORRECTIONS - 1 || kept <= target) break;
    scale *= target / kept;
    plan = planOf(model, shares, scale, options);
  }
  return { plan, shares, deviations, kept };
}

function planOf(
  model: Model,
  shares: Shares,
  scale: number,
  { target, score }: CalibrationOptions,
): Calibration["plan"] {
  return {
    model: model.fingerprint,
    policy: `calibrated(${formatScore(score)}, ${Math.round(100 * target)}%)`,
    recovery: null,
    rows: "prompt",
    generated: "keep",
    heads: shares.map((heads) => heads.map((share) => policyOf(Math.round(1000 * share * scale) / 1000, score).text)),
  };
}

function policyOf(share: number, score: Expr): Policy {
  if (share >= 1) return full();
  return share <= 0 ? union(special(), recent(4)) : union(special(), top(score, ratio(share)), recent(4));
}
