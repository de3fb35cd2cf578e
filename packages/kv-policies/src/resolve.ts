import { Cursor } from "./cursor";
import { parsePolicy } from "./parse";
import { readAmount, takeKnown } from "./policy-parser";
import { fixed, type Preset } from "./presets";
import { defaultRegistry, type PolicyRegistry } from "./registry";
import type { Strategy } from "./strategy";

/** What a program's `--policy` names. */
export type ResolvedPolicy =
  | { readonly kind: "preset"; readonly preset: Preset }
  | { readonly kind: "expression"; readonly preset: Preset }
  | { readonly kind: "strategy"; readonly strategy: Strategy };

/**
 * Find out what a text means: a preset, with its parameters or without (`fastgen(20%, 40%)`), a plug-in strategy, or an
 * expression, which every head then follows.
 *
 * @throws PolicySyntaxError when it is none of these, or an amount is out of range; WinnowError `plugin` where a plug-in fails.
 */
export function resolvePolicy(text: string, registry: PolicyRegistry = defaultRegistry): ResolvedPolicy {
  const cursor = new Cursor(text);
  const start = cursor.skip();
  const name = takeKnown(cursor, registry.wholeNames.keys());
  const preset = name === null ? null : registry.preset(name);
  if (preset !== null) {
    const amounts = cursor.list(() => readAmount(cursor));
    if (cursor.atEnd()) {
      expectAmounts(cursor, start, name ?? "", preset.parameters, amounts.length);
      return { kind: "preset", preset: cursor.checked(start, () => preset.build(amounts)) };
    }
  }
  const strategy = name === null ? null : registry.strategy(name);
  if (strategy !== null) {
    const amounts = cursor.list(() => readAmount(cursor));
    if (cursor.atEnd()) {
      expectAmounts(cursor, start, strategy.name, strategy.parameters, amounts.length);
      return { kind: "strategy", strategy: strategy.withAmounts(amounts) };
    }
  }
  const policy = parsePolicy(text, registry);
  return { kind: "expression", preset: fixed("expression", policy.text, "an expression", policy) };
}

function expectAmounts(cursor: Cursor, start: number, name: string, most: number, given: number): void {
  if (given <= most) return;
  const takes = most === 0 ? "no amounts" : most === 1 ? "at most 1 amount" : `at most ${most} amounts`;
  cursor.fail(start, `${name} takes ${takes}, and ${given} are given`);
}
