import type { HeadReport } from "@winnow/profiler";
import { profileReport, type Model } from "@winnow/runtime";

export interface StructureOptions {
  /** Prompts. */
  readonly samples: number;
  readonly recovery: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (() => void) | undefined;
}

const PROMPT_TOKENS = 256;

/** Tokens of a prompt that leaves room for so many more. */
export function promptTokensFor({ engine }: Model, generated: number): number {
  return Math.max(1, Math.min(PROMPT_TOKENS, engine.context - generated));
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
