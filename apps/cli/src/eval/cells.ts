import { KV_TYPES, WinnowError, isQuantisedKv, type QuantisedKvType } from "@winnow/core-tensor";
import { resolvePolicy, type PolicyRegistry } from "@winnow/kv-policies";
import type { HeadPlan } from "@winnow/profiler";
import type { DriftOption, SessionOptions } from "@winnow/runtime";

import { digestOf } from "./digest";
import { OWN, type Limit } from "./limit";

/** A policy at a limit. */
export type Cell = Limit & {
  /** All that decides its answers to a prompt; no two cells of an evaluation share it. */
  readonly id: string;
  readonly policy: string;
  readonly session: SessionOptions;
  /** How its cache is stored, where that is not the model's own way: the model is then loaded once more. */
  readonly kvType: QuantisedKvType | null;
};

/** The full cache in fewer bits: the rivals at a half and at a third of the bytes. */
const FULL_QUANTISED: Readonly<Record<string, QuantisedKvType>> = { "full-q8": "q8", "full-q4": "q4" };

/** Policies that are compared unless told otherwise. */
export const DEFAULT_POLICIES =
  "full,full-q8,fastgen,adaptive,sink+recent,heavy-hitter,random,scissorhands,tova,snapkv,pyramidkv,ada-kv,keydiff,knorm,expected-attention,criticalkv,kvzip,r-kv,layer-window";

/**
 * Every policy at every limit that it can be held to; by its own rule where that is none. The full cache comes first, whether it was asked for or not: others are compared with it.
 *
 * @param policies names or expressions, separated by commas outside of parentheses; `@q8` or `@q4` behind one has its cache
 * stored so, `@upgrade` a drift of upgrade.
 * @throws PolicySyntaxError for a text that is no policy.
 */
export function cellsOf(policies: string, limits: readonly Limit[], registry: PolicyRegistry): readonly Cell[] {
  const names = [...new Set(["full", ...splitOutside(policies)])];
  return names.flatMap((policy): Cell[] => {
    const whole = FULL_QUANTISED[policy];
    if (whole !== undefined) return [{ ...OWN, id: policy, policy, session: { policy: "full" }, kvType: whole }];
    const { text, kvType, drift } = withoutSuffixes(policy);
    const resolved = resolvePolicy(text, registry);
    const hasBudget = (resolved.kind === "strategy" ? resolved.strategy : resolved.preset).withBudget !== null;
    const hasThreshold = resolved.kind !== "strategy" && resolved.preset.threshold !== null;
    const met = limits.filter(({ target, recovery }) =>
      target !== null ? hasBudget || hasThreshold : recovery === null || hasThreshold,
    );
    return (met.length === 0 ? [OWN] : met).map((limit) => ({
      ...limit,
      id: idOf(policy, limit),
      policy,
      session: { policy: text, registry, drift, ...optionsOf(limit) },
      kvType,
    }));
  });
}

/** Plans made earlier, each a line of the table by the name of its file. */
export function planCells(files: readonly (readonly [name: string, plan: HeadPlan])[]): readonly Cell[] {
  return files.map(([name, plan]) => {
    const policy = `plan ${name}`;
    return { ...OWN, id: `${policy} ${digestOf(plan)}`, policy, session: { plan }, kvType: null };
  });
}

/** What may stand behind a policy: how its cache is stored, or that drifting heads are upgraded while an answer is read. */
interface Suffixes {
  readonly text: string;
  readonly kvType: QuantisedKvType | null;
  readonly drift: DriftOption | undefined;
}

/** @throws WinnowError `usage` for a suffix that no cell can have. */
function withoutSuffixes(policy: string): Suffixes {
  const [, before, asked = ""] = /^(.*)@(\w+)$/s.exec(policy) ?? [];
  if (before === undefined) return { text: policy.trim(), kvType: null, drift: undefined };
  const inner = withoutSuffixes(before);
  if (asked === "upgrade") return { ...inner, drift: asked };
  const types = KV_TYPES.filter(isQuantisedKv);
  const kvType = types.find((type) => type === asked);
  if (kvType === undefined)
    throw new WinnowError("usage", `"${policy}": ${asked} behind an @; expected ${types.join(", ")} or upgrade`);
  if (inner.kvType !== null)
    throw new WinnowError("usage", `"${policy}": a cache in ${inner.kvType} and in ${kvType}; expected one of them`);
  return { ...inner, kvType };
}

function idOf(policy: string, { target, recovery }: Limit): string {
  if (target !== null) return `${policy} at ${target}`;
  return recovery === null ? policy : `${policy} at T=${recovery}`;
}

function optionsOf({ target, recovery }: Limit): Pick<SessionOptions, "target" | "recovery"> {
  if (target !== null) return { target };
  return recovery === null ? {} : { recovery };
}

function splitOutside(text: string): string[] {
  const parts: string[] = [""];
  let depth = 0;
  for (const character of text) {
    if (character === "(") depth++;
    if (character === ")") depth--;
    if (character === "," && depth === 0) parts.push("");
    else parts.push((parts.pop() ?? "") + character);
  }
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}
