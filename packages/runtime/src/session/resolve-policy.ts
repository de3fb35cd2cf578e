import { WinnowError } from "@winnow/core-tensor";
import {
  Policy,
  defaultRegistry,
  fixed,
  formatPercent,
  parsePolicy,
  ratio,
  resolvePolicy,
  type PolicyRegistry,
  type Preset,
  type Strategy,
} from "@winnow/kv-policies";
import { checkPlan, type HeadPlan, type ModelFingerprint } from "@winnow/profiler";

import type { ByteTarget, Turned } from "../cache/byte-target";
import type { CachePolicy } from "../cache/cache-policy";
import type { Decision } from "../cache/decision";
import { expectSweepable } from "../cache/sweepable";
import { resolveDrafting } from "./resolve-drafting";
import { SessionOptionError } from "./session-option-error";
import type { SessionOptions } from "./session-options";
import type { SessionSettings } from "./session-settings";

const DEFAULT_POLICY = "adaptive";
const DEFAULT_INTERVAL = 16;

/**
 * What a session's options mean.
 *
 * @throws WinnowError `policy` or `plan`; SessionOptionError naming the option, what was given and what was expected.
 */
export function resolveSession(
  options: SessionOptions,
  model: { readonly fingerprint: ModelFingerprint },
): SessionSettings {
  const interval = options.interval ?? DEFAULT_INTERVAL;
  if (!Number.isInteger(interval) || interval < 1) {
    throw new SessionOptionError(
      "interval",
      `an interval of ${interval} tokens; expected a whole number of at least 1`,
    );
  }
  const registry = options.registry ?? defaultRegistry;
  const drift = options.drift ?? "ignore";
  const shared = { group: options.group ?? "min", drift, registry } as const;
  const how = { interval, memory: options.memory ?? "keep", drafting: resolveDrafting(options) } as const;
  if (options.plan !== undefined) {
    if (options.policy !== undefined)
      throw new SessionOptionError("policy", "a plan and a policy are both given; a plan has policies of its own");
    if (options.recovery !== undefined)
      throw new SessionOptionError(
        "recovery",
        "a plan and a recovery are both given; a plan's policies are chosen already",
      );
    if (options.target !== undefined)
      throw new SessionOptionError(
        "target",
        "a plan and a target are both given; a plan's policies are chosen already",
      );
    if (drift === "upgrade")
      throw new SessionOptionError(
        "drift",
        "a plan and a drift of upgrade are both given; a plan's policies have no candidates to go on to: leave the drift out",
      );
    checkPlan(options.plan, model.fingerprint);
    return { policy: { ...planPolicy(options.plan, registry), ...shared }, recovery: null, ...how };
  }
  const { threshold, ...policy } = searchPolicy(options, registry);
  if (drift === "upgrade") expectChain(policy);
  return { policy: { ...policy, ...shared }, recovery: threshold, ...how };
}

/** @throws SessionOptionError where heads have no candidates to go on to while generating, or drop nothing then. */
function expectChain({ text, decision, generated }: Omit<Resolved, "rows">): void {
  if (decision.kind === "search" && decision.threshold !== null && generated === "sweep") return;
  const lacks = generated === "keep" ? "keeps what is generated" : "has no candidates that a threshold chooses from";
  throw new SessionOptionError(
    "drift",
    `a drift of upgrade beside the policy "${text}", which ${lacks}; leave it out, or use fastgen`,
  );
}

type Resolved = Omit<CachePolicy, "group" | "drift" | "registry">;

function planPolicy(plan: HeadPlan, registry: PolicyRegistry): Resolved {
  const known = new Map<string, Policy>();
  const parse = (text: string, layer: number, head: number): Policy => {
    try {
      const policy = known.get(text) ?? parsePolicy(text, registry);
      known.set(text, policy);
      return policy;
    } catch (cause) {
      throw new WinnowError(
        "plan",
        `the plan's policy for head ${head} of layer ${layer} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}; ` +
          "make the plan anew, or load the plug-in that it was made with",
        { cause },
      );
    }
  };
  const heads = plan.heads.map((policies, layer) => policies.map((text, head) => parse(text, layer, head)));
  return {
    // A session that was begun by a plan is saved as one, which names it already.
    text: plan.policy.startsWith("plan(") ? plan.policy : `plan(${plan.policy})`,
    decision: { kind: "plan", heads },
    rows: plan.rows,
    reading: "cut",
    generated: plan.generated,
    target: null,
  };
}

function searchPolicy(
  options: SessionOptions,
  registry: PolicyRegistry,
): Resolved & { readonly threshold: number | null } {
  const share = checkedTarget(options);
  const asked = options.policy ?? DEFAULT_POLICY;
  const resolved =
    asked instanceof Policy
      ? { kind: "expression" as const, preset: fixed("expression", asked.text, "an expression", asked) }
      : resolvePolicy(asked, registry);
  if (resolved.kind === "strategy") {
    const { strategy } = resolved;
    const threshold = checkedThreshold(options.recovery ?? null);
    const decisionOf = (of: Strategy): Decision => ({ kind: "strategy", strategy: of, threshold });
    const { withBudget } = strategy;
    const turned: Turned | null =
      withBudget === null ? null : { kind: "budget", decisionAt: (x) => decisionOf(withBudget(ratio(x))) };
    return {
      text: strategy.text,
      decision: decisionOf(strategy),
      rows: options.rows ?? strategy.rows,
      reading: "cut",
      generated: strategy.generated,
      target: targetOf(share, strategy.text, turned),
      threshold,
    };
  }
  const { preset } = resolved;
  for (const candidate of preset.candidates) expectSweepable(candidate, { generated: preset.generated, registry });
  if (options.recovery !== undefined && preset.threshold === null) {
    throw new SessionOptionError(
      "recovery",
      `a recovery of ${options.recovery} beside the policy "${preset.text}", which has no threshold; leave it out, or use adaptive or fastgen`,
    );
  }
  const { greatest } = preset;
  const usesWeight = greatest !== null && options.recovery === undefined;
  const threshold =
    preset.threshold === null || usesWeight ? null : checkedThreshold(options.recovery ?? preset.threshold);
  const decisionOf = ({ candidates }: Preset): Decision => ({ kind: "search", candidates, threshold });
  const decision: Decision = usesWeight ? { kind: "greatest", ...greatest } : decisionOf(preset);
  return {
    text: preset.text,
    decision,
    target: targetOf(share, preset.text, turnedOf(preset, decision, decisionOf)),
    rows: options.rows ?? preset.rows,
    reading: readingOf(preset, options),
    generated: preset.generated,
    threshold: decision.kind === "greatest" ? 1 - decision.weight : threshold,
  };
}

/** Rows of a probe stand behind the prompt, all at once: a window over them is what is recent where the prompt ends. */
function readingOf(preset: Preset, options: SessionOptions): "row" | "cut" {
  return (options.rows ?? preset.rows) === "probe" ? "cut" : preset.reading;
}

/** What of a preset can be turned; null for nothing. */
function turnedOf(preset: Preset, decision: Decision, decisionOf: (preset: Preset) => Decision): Turned | null {
  const { withBudget } = preset;
  if (withBudget !== null) return { kind: "budget", decisionAt: (x) => decisionOf(withBudget(ratio(x))) };
  if (decision.kind === "greatest") return { kind: "weight" };
  return preset.threshold === null ? null : { kind: "recovery" };
}

/** @throws SessionOptionError where the policy has nothing that can be turned. */
function targetOf(share: number | null, policy: string, turned: Turned | null): ByteTarget | null {
  if (share === null) return null;
  if (turned === null) {
    throw new SessionOptionError(
      "target",
      `a target of ${formatPercent(share)} beside the policy "${policy}", which keeps what it keeps; leave it out, or use a policy with a threshold or a budget, such as adaptive or snapkv`,
    );
  }
  return { share, turned };
}

function checkedTarget({ target, recovery }: SessionOptions): number | null {
  if (target === undefined) return null;
  if (!(target > 0 && target <= 1)) {
    throw new SessionOptionError(
      "target",
      `a target of ${target}; expected a share of the full cache in (0, 1], such as 0.4`,
    );
  }
  if (recovery !== undefined) {
    throw new SessionOptionError(
      "recovery",
      "a target and a recovery are both given; the target decides how much is recovered",
    );
  }
  return target;
}

function checkedThreshold(recovery: number | null): number | null {
  if (recovery !== null && !(recovery > 0 && recovery <= 1)) {
    throw new SessionOptionError("recovery", `a recovery of ${recovery}; expected a share in (0, 1], such as 0.9`);
  }
  return recovery;
}
