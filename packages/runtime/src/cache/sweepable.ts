import { WinnowError } from "@winnow/core-tensor";
import { READING_COLUMNS, columnsNeeded, type Policy } from "@winnow/kv-policies";

import { withNeeds } from "./angle";
import type { CachePolicy } from "./cache-policy";

/**
 * @throws WinnowError `policy` where a policy that is to be applied again and again ranks by what is known of a slot only
 * while its prompt is read.
 */
export function expectSweepable(
  policy: Policy,
  { generated, registry }: Pick<CachePolicy, "generated" | "registry">,
): void {
  if (generated === "keep") return;
  const names = withNeeds(columnsNeeded(policy).custom, registry);
  const lost = names.find((name) => READING_COLUMNS.includes(name) || name === "queries");
  if (lost === undefined) return;
  throw new WinnowError(
    "policy",
    `the policy "${policy.text}" ranks by "${lost}", which is known of a token only while its prompt is read, and would be applied again while generating; use it in a preset or strategy whose generated tokens are kept (generated: "keep")`,
  );
}
