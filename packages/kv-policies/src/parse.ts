import type { Expr } from "@winnow/core-tensor";

import type { Policy } from "./policy";
import { readWholePolicy } from "./policy-parser";
import { defaultRegistry, type PolicyRegistry } from "./registry";
import { readWholeScore } from "./score-parser";

/**
 * Read a policy's text. Operators: `!`, then `&` and `-` from left to right, then `|`; `30%` is a ratio, `64` a count.
 *
 * @param registry names of plug-ins that the text may use.
 * @throws PolicySyntaxError with the position, where the text is not a policy; WinnowError `plugin` where a plug-in fails.
 * @example parsePolicy("special | frequent(30%) & !punctuation").text
 */
export function parsePolicy(text: string, registry: PolicyRegistry = defaultRegistry): Policy {
  return readWholePolicy(text, registry);
}

/**
 * Read a score: names of statistics, numbers, `+ - * /`, `abs sqrt exp log min max`, `random(seed)`.
 *
 * @throws PolicySyntaxError with the position, where the text is not a score.
 * @example parseScore("mass / valueNorm")
 */
export function parseScore(text: string, registry: PolicyRegistry = defaultRegistry): Expr {
  return readWholeScore(text, registry);
}
