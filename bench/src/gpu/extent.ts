/** How much is measured. */
export interface Extent {
  /** Rows of products. */
  readonly rows: readonly number[];
  /** Tokens of a prompt, read under each of the policies; its attention is measured by itself too. */
  readonly prompt: number;
  readonly policies: readonly string[];
  /** How often each prompt is read; the median counts. */
  readonly readings: number;
  /** Slots of full caches that tokens are written behind. */
  readonly contexts: readonly number[];
  /** Tokens that are written and measured, on either clock. */
  readonly tokens: number;
}

const POLICIES = ["full", "heavy-hitter", "fastgen", "adaptive"];
/** Tokens behind a prompt, those of both clocks together, and some for the positions of a probe. */
const ROOM = 256;

/**
 * What a model of so long a context is measured with; a software adapter gets by with less.
 *
 * @param context tokens
 */
export function extentFor(context: number, software: boolean): Extent {
  if (software) {
    return { rows: [1, 64], prompt: 128, policies: POLICIES, readings: 3, contexts: [256], tokens: 16 };
  }
  const fits = (tokens: number): boolean => tokens + ROOM <= context;
  return {
    rows: [1, 8, 512],
    prompt: fits(2048) ? 2048 : 768,
    policies: POLICIES,
    readings: 3,
    contexts: [512, 8192, 32_768].filter(fits),
    tokens: 64,
  };
}
