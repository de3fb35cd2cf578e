import { WinnowError } from "@winnow/core-tensor";

import type { GenerationEvent } from "../generate/decode";
import type { GenerationReport } from "../generate/report";

/** A generation under way: iterate over it for its events, once, and ask for the report at the end. */
export interface Generation extends AsyncIterable<GenerationEvent> {
  /**
   * Runs what is left of the generation, and tells what it did.
   *
   * @throws WinnowError `usage` when it was left, or failed, before its end.
   */
  report(): Promise<GenerationReport>;
}

/**
 * @param events nothing of it runs before the first event, or the report, is asked for. A generator that has ended
 *   already returns nothing.
 */
export function generationOf(
  events: AsyncGenerator<GenerationEvent, GenerationReport | undefined, undefined>,
): Generation {
  let report: GenerationReport | null = null;
  async function* iterate(): AsyncGenerator<GenerationEvent, void, undefined> {
    report = (yield* events) ?? report;
  }
  return {
    [Symbol.asyncIterator]: iterate,
    report: async () => {
      for (const rest = iterate(); report === null;) {
        const { done } = await rest.next();
        if (done === true) break;
      }
      if (report === null) {
        throw new WinnowError("usage", "the generation was left before its end, so it has no report");
      }
      return report;
    },
  };
}
