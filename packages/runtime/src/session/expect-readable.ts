import { WinnowError } from "@winnow/core-tensor";

import type { ProbeSource } from "../cache/extend";
import type { Engine } from "../engine";

interface ReadablePart {
  readonly ids: readonly number[];
  readonly probe: ProbeSource | null;
}

/**
 * Check that there is something to read, that it fits, and that it is made of the model's tokens.
 *
 * @param before tokens that were read already.
 * @throws WinnowError `prompt`, `context`
 */
export function expectReadable(parts: readonly ReadablePart[], before: number, { context, decoder }: Engine): void {
  if ((parts.length === 0 && before === 0) || parts.some(({ ids }) => ids.length === 0)) {
    throw new WinnowError("prompt", "the prompt is empty; give at least one token");
  }
  const total = before + parts.reduce((sum, { ids }) => sum + ids.length, 0);
  if (total > context) {
    throw new WinnowError(
      "context",
      `the prompt has ${total} tokens${before > 0 ? " with the conversation before it" : ""}, and the model's context holds ${context}; shorten it`,
    );
  }
  for (const part of parts) expectTokens(part, decoder.shape.vocabulary);
}

/** @throws WinnowError `prompt` when an id is none of the model's. */
function expectTokens({ ids, probe }: ReadablePart, vocabulary: number): void {
  const probed = probe === null ? [] : probe.kind === "ids" ? [probe.ids] : [probe.request, probe.subject];
  for (const id of [ids, ...probed].flat()) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabulary) {
      throw new WinnowError(
        "prompt",
        `the token id ${id} is none of the model's; expected whole numbers below ${vocabulary}`,
      );
    }
  }
}
