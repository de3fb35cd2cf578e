import type { ProbeSource } from "../cache/extend";
import type { Tokenizer } from "../tokenizer";

/**
 * A probe over a part that is read together with what came before it: what it did not replay would be looked up by nobody.
 *
 * @param probe the part's own.
 * @param before tokens that are read with it.
 * @param request what an earlier probe asked, for a part that has none.
 */
export function replayingToo(
  probe: ProbeSource | null,
  before: readonly number[],
  request: readonly number[] | null,
  { specialIds }: Pick<Tokenizer, "specialIds">,
): ProbeSource | null {
  if (probe?.kind === "ids") return probe;
  const asked = probe?.request ?? request;
  if (asked === null) return null;
  return {
    kind: "replay",
    request: asked,
    subject: [...before.filter((id) => !specialIds.has(id)), ...(probe?.subject ?? [])],
  };
}
