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
      if (amounts.length > preset.parameters) {
        cursor.fail(
          start,
          `${name} takes ${preset.parameters === 0 ? "no amounts" : `at most ${preset.parameters} amounts`}, and ${amounts.length} are given`,
        );
      }
      return { kind: "preset", preset: cursor.checked(start, () => preset.build(amounts)) };
    }
  }
  const strategy = name === null ? null : registry.strategy(name);
  if (strategy !== null && cursor.atEnd()) return { kind: "strategy", strategy };
  const policy = parsePolicy(text, registry);
  return { kind: "expression", preset: fixed("expression", policy.text, "an expression", policy) };
}
