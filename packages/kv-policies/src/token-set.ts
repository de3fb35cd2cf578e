import { MAX_OPERAND, WinnowError } from "@winnow/core-tensor";

/** A set of tokens that a policy names: by id, or by a pattern over their text. */
export type TokenSet =
  | { readonly kind: "ids"; readonly ids: readonly number[] }
  | { readonly kind: "pattern"; readonly source: string; readonly flags: string };

/**
 * @param tokens ids, or a pattern that the text of a token has to match somewhere.
 * @throws WinnowError `policy` when there is no id, or one that no vocabulary has.
 */
export function tokenSetOf(tokens: readonly number[] | RegExp): TokenSet {
  if (tokens instanceof RegExp) {
    // A pattern with a memory of its last match would answer differently every other time.
    return { kind: "pattern", source: tokens.source, flags: tokens.flags.replaceAll(/[dgy]/g, "") };
  }
  const ids = [...new Set(tokens)].sort((a, b) => a - b);
  const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id > MAX_OPERAND);
  if (bad !== undefined)
    throw new WinnowError("policy", `tokens: the id ${bad}; expected a whole number from 0 to ${MAX_OPERAND}`);
  if (ids.length === 0) throw new WinnowError("policy", "tokens: no id is given; expected at least one, or a pattern");
  return { kind: "ids", ids };
}

/** `4, 17` or `/^\d/u`: what stands between the parentheses of `tokens(…)`. */
export function formatTokenSet(set: TokenSet): string {
  return set.kind === "ids" ? set.ids.join(", ") : `/${set.source}/${set.flags}`;
}
