import type { SamplingOptions } from "../generate/sampling";

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called while a prompt is read, as (layer, rows) units are done, of `total` in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What reading a prompt came to. */
export interface PromptReport {
  /** Waiting for other prompts, and for room in the KV budget. */
  readonly queueMs: number;
  /** Reading, profiling included. */
  readonly promptMs: number;
  /** Spent on profiling and cutting. */
  readonly profileMs: number;
  /** Tokens before the answer that had been read already. */
  readonly cachedTokens: number;
}

/** What to generate; sampling options left out come from the model's `generation_config.json`. */
export interface GenerateOptions extends SamplingOptions, ReadOptions {
  /** Default: until the context is used up. */
  readonly maxTokens?: number | undefined;
  /** Which of several answers to one prompt and seed this is; 0 unless told otherwise. */
  readonly choice?: number | undefined;
  /** How many of the likeliest tokens events tell, 0 to 20; 0 unless told otherwise. */
  readonly topTokens?: number | undefined;
  /** The answer ends before any of these. */
  readonly stop?: readonly string[] | undefined;
  /** Go on after an end-of-text token. */
  readonly ignoreEos?: boolean | undefined;
  /** Called when the prompt has been read, while the sequence's logits are those of its last row. */
  readonly onPromptRead?: (() => Promise<void> | void) | undefined;
}
