import type { Policy, PolicyRegistry } from "@winnow/kv-policies";
import type { HeadPlan } from "@winnow/profiler";

import type { RowsOption } from "../cache/cache-policy";
import type { DriftOption } from "../cache/drift";

/** How a session's cache is cut; everything has a default. */
export interface SessionOptions {
  /**
   * A preset's name (`adaptive`, `fastgen`, …), an expression such as `sink(4) | recent(30%)`, or a policy.
   * Default: `adaptive`.
   */
  readonly policy?: string | Policy | undefined;
  /** The threshold T of a preset that has one, in (0, 1]; by default the preset's own. */
  readonly recovery?: number | undefined;
  /**
   * What the cache may take once the prompt is cut, as a share in (0, 1] of the bytes of the full cache's slots in f16: T, or
   * the policy's own budget, is turned until it does. Layers then wait for each other before they are cut.
   */
  readonly target?: number | undefined;
  /** Where the profiled rows come from; by default the preset's own source. */
  readonly rows?: RowsOption | undefined;
  /** A plan made earlier, instead of a policy. */
  readonly plan?: HeadPlan | undefined;
  /** Tokens between two sweeps while generating; 1 is the paper's algorithm. Default: 16. */
  readonly interval?: number | undefined;
  /**
   * What becomes of a head that attends, while text is generated, to what its policy drops. `ignore` (default): nothing, as in
   * the paper. `upgrade`: a sweep that would drop more than 1 − T of the newest row's attention is put off for that head, and
   * when that happens twice in a row the head is given the next candidate of its policy, which keeps more. For policies that
   * are chosen by a threshold and swept while generating, such as `fastgen`. Heads then store what later candidates go by, and
   * an interval of 1 is one of 2.
   */
  readonly drift?: DriftOption | undefined;
  /** How a KV head's recovery follows from its query heads': the least (default), or their mean. */
  readonly group?: "min" | "mean" | undefined;
  /** `keep` (default): a turn goes on over the compressed cache. `exact`: every turn reads the whole conversation anew. */
  readonly memory?: "keep" | "exact" | undefined;
  /**
   * Tokens that are guessed at a time while an answer is written, from 1 to 7: where the newest tokens have stood before, what
   * followed them then is read along with the next token (prompt lookup decoding, Saxena 2023), and kept as far as it is what
   * is drawn (speculative sampling, arXiv 2302.01318). Answers are the same; those that repeat their prompt take less time,
   * and others may take more. 0 for none. Default: 0.
   *
   * @example
   * ```ts
   * using session = model.createSession({ speculate: 4 });
   * const { speculation } = await session.generate(parts).report(); // { steps: 21, drafted: 72, accepted: 60 }
   * ```
   */
  readonly speculate?: number | undefined;
  /** Policies, statistics and strategies of plug-ins. */
  readonly registry?: PolicyRegistry | undefined;
}
