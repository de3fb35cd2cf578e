import { WinnowError } from "@winnow/core-tensor";
import type { HeadReport } from "@winnow/profiler";
import { profileReport, type Model } from "@winnow/runtime";

export interface StructureOptions {
  readonly seed: number;
  /** Prompts. */
  readonly samples: number;
  readonly recovery: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (() => void) | undefined;
}

const PROMPT_TOKENS = 256;
const LEAST_PROMPT_TOKENS = 32;

/**
 * Tokens of a prompt that leaves room for so many more.
 *
 * @throws WinnowError `context` where there is no room for a prompt that is worth a profile.
 */
export function promptTokensFor({ engine: { context } }: Model, generated: number): number {
  const room = context - generated;
  if (room >= LEAST_PROMPT_TOKENS) return Math.min(PROMPT_TOKENS, room);
  throw new WinnowError(
    "context",
    `prompts of ${LEAST_PROMPT_TOKENS} tokens and ${generated} behind them are profiled, and the context holds ${context}; give a longer --context, or leave the figures out with --only`,
  );
}

/** What a profile by FastGen's candidates says of every head, by layer. */
export async function profiledHeads(
  model: Model,
  ids: readonly number[],
  recovery: number,
  rows: "prompt" | "late",
): Promise<readonly (readonly HeadReport[])[]> {
  using session = model.createSession({ policy: "fastgen", recovery, rows });
  await session.read([{ ids, probe: null }]);
  return profileReport(model, session).layers.map(({ heads }) => heads);
}
