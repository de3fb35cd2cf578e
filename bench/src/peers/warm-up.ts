/** What each answer of a warm-up reads. */
export const WARM_PROMPT = 64;

/** What the answers of a warm-up write together, and each of them at least. */
const WARM_TOKENS = 128;
const LEAST_TOKENS = 16;

/** By then kernels are compiled, and what calls them is, which JavaScript is only while it runs. */
const LEAST_MS = 2000;

/** Tokens that each of so many answers writes to warm up. */
export function warmTokens(batch: number): number {
  return Math.max(LEAST_TOKENS, Math.ceil(WARM_TOKENS / batch));
}

/** Have an engine write as many answers at once as are to be measured, again and again for a while: then it is as it goes on. */
export async function warmUp(answers: () => Promise<unknown>): Promise<void> {
  const started = performance.now();
  do await answers();
  while (performance.now() - started < LEAST_MS);
}
