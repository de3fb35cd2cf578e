import { WinnowError } from "@winnow/core-tensor";

import type { Amount } from "./amount";
import { parseAmounts, parsePolicy } from "./parse";
import { PRESETS, fixed, type Preset } from "./presets";
import { defaultRegistry, type PolicyRegistry, type Strategy } from "./registry";
import { PolicySyntaxError, nearest } from "./syntax-error";

/** What a program's `--policy` names. */
export type ResolvedPolicy =
  | { readonly kind: "preset"; readonly preset: Preset }
  | { readonly kind: "expression"; readonly preset: Preset }
  | { readonly kind: "strategy"; readonly strategy: Strategy };

/**
 * Find out what a text means: a preset, with its parameters or without (`fastgen(20%, 40%)`), a plug-in strategy, or an
 * expression, which every head then follows.
 *
 * @throws PolicySyntaxError when it is none of these; WinnowError `policy` when an amount is out of range.
 */
export function resolvePolicy(text: string, registry: PolicyRegistry = defaultRegistry): ResolvedPolicy {
  const trimmed = text.trim();
  const [, name = "", parameters] = /^([A-Za-z][\w+-]*)\s*(?:\((.*)\))?$/s.exec(trimmed) ?? [];
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  if (preset !== undefined) {
    const amounts: readonly Amount[] = parameters === undefined ? [] : parseAmounts(trimmed, name.length, registry);
    if (amounts.length > preset.parameters) {
      throw new WinnowError("policy", `${name} takes ${preset.parameters === 0 ? "no amounts" : `at most ${preset.parameters} amounts`}, and ${amounts.length} are given`);
    }
    return { kind: "preset", preset: preset.build(amounts) };
  }
  const strategy = registry.strategy(trimmed);
  if (strategy !== null) return { kind: "strategy", strategy };
  return { kind: "expression", preset: expression(trimmed, registry) };
}

function expression(text: string, registry: PolicyRegistry): Preset {
  try {
    const policy = parsePolicy(text, registry);
    return fixed("expression", policy.text, "an expression", policy);
  } catch (error) {
    if (!(error instanceof PolicySyntaxError)) throw error;
    const near = nearest(text, [...Object.keys(PRESETS), ...registry.strategyNames]);
    if (near === null) throw error;
    throw new PolicySyntaxError(error.text, error.position, `${error.problem}. Presets: ${Object.keys(PRESETS).join(", ")}; did you mean "${near}"?`);
  }
}
