import { resolvePolicy, type PolicyRegistry } from "@winnow/kv-policies";
import type { HeadPlan } from "@winnow/profiler";
import type { SessionOptions } from "@winnow/runtime";

import { digestOf } from "./digest";

/** A policy at a target: a line of the table. */
export interface Cell {
  /** All that decides its answers to a prompt; no two cells of an evaluation share it. */
  readonly id: string;
  readonly policy: string;
  /** The share of the full cache's bytes that it may keep; null where the policy keeps what it keeps. */
  readonly target: number | null;
  readonly session: SessionOptions;
  /** Whether the cache is stored in q8: the model is then loaded a second time. */
  readonly quantised: boolean;
}

/** The full cache in q8: the rival at half the bytes. */
export const FULL_Q8 = "full-q8";

/** Policies that are compared unless told otherwise. */
export const DEFAULT_POLICIES =
  "full,full-q8,fastgen,adaptive,sink+recent,heavy-hitter,random,scissorhands,tova,snapkv,pyramidkv,ada-kv,keydiff,knorm,expected-attention,criticalkv,kvzip,r-kv,layer-window";

/**
 * Every policy at every target. The full cache comes first, whether it was asked for or not: others are compared with it.
 *
 * @param policies names or expressions, separated by commas outside of parentheses.
 * @throws PolicySyntaxError for a text that is no policy.
 */
export function cellsOf(
  policies: string,
  targets: readonly (number | null)[],
  registry: PolicyRegistry,
): readonly Cell[] {
  const names = [...new Set(["full", ...splitOutside(policies)])];
  return names.flatMap((policy): Cell[] => {
    if (policy === FULL_Q8) return [{ id: policy, policy, target: null, session: { policy: "full" }, quantised: true }];
    const resolved = resolvePolicy(policy, registry);
    const turns =
      resolved.kind === "strategy"
        ? resolved.strategy.withBudget !== null
        : resolved.preset.withBudget !== null || resolved.preset.threshold !== null;
    if (!turns) return [{ id: policy, policy, target: null, session: { policy, registry }, quantised: false }];
    return targets.map((target) => {
      const session = target === null ? { policy, registry } : { policy, target, registry };
      return { id: target === null ? policy : `${policy} at ${target}`, policy, target, session, quantised: false };
    });
  });
}

/** Plans made earlier, each a line of the table by the name of its file. */
export function planCells(files: readonly (readonly [name: string, plan: HeadPlan])[]): readonly Cell[] {
  return files.map(([name, plan]) => {
    const policy = `plan ${name}`;
    return { id: `${policy} ${digestOf(plan)}`, policy, target: null, session: { plan }, quantised: false };
  });
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
