import type { SlotView } from "@winnow/core-tensor";

import type { TokenClasses } from "./token-class";

/** The slots of one KV head, with what a policy's ratios and classes refer to. */
export interface HeadView extends SlotView {
  /** Prompt tokens read so far: what `recent(30%)` is a share of. */
  readonly promptTokens: number;
  /** Tokens read so far, evicted ones included: what `frequent(30%)` is a share of. */
  readonly length: number;
  /** What the slots' flags mean. */
  readonly classes: TokenClasses;
}
