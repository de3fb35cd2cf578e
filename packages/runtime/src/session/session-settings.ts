import type { CachePolicy } from "../cache/cache-policy";
import type { Drafting } from "../generate/draft-finder";

/** How a session treats its cache. */
export interface SessionSettings {
  readonly policy: CachePolicy;
  /**
   * T as asked for; null where the policy has none. Of a policy that goes by the greatest weight, 1 − what a row may lose on
   * one token.
   */
  readonly recovery: number | null;
  /** Tokens between two sweeps while generating. */
  readonly interval: number;
  /** `keep`: a turn goes on over the compressed cache. `exact`: every turn reads the whole conversation anew. */
  readonly memory: "keep" | "exact";
  /** How an answer's tokens are guessed, which changes nothing but how long it takes; null where they are not. */
  readonly drafting: Drafting | null;
}
