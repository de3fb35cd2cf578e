/**
 * What becomes of a head that attends, while text is generated, to what its policy drops: nothing, or it is given a policy
 * that keeps more.
 */
export type DriftOption = "ignore" | "upgrade";

/** What drift has come to, over all heads, since the cache was made. */
export interface DriftCounts {
  /** Sweeps that were put off for a head: it kept everything. */
  readonly delayed: number;
  /** Heads that were given a policy that keeps more; one that was given several counts each time. */
  readonly upgraded: number;
}
