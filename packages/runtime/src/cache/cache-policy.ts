import type { PolicyRegistry } from "@winnow/kv-policies";

import type { ByteTarget } from "./byte-target";
import type { Decision } from "./decision";
import type { DriftOption } from "./drift";

/** Where the rows come from that a prompt is profiled with. */
export type RowsOption = "prompt" | "late" | "probe";

/** How a sequence's cache is cut. */
export interface CachePolicy {
  /** As asked for: a preset's name, an expression, `plan`. */
  readonly text: string;
  readonly decision: Decision;
  readonly rows: RowsOption;
  /** Whether `recent(w)` is a window of every profiled row, or what is recent where the prompt is cut. */
  readonly reading: "row" | "cut";
  /** Whether later tokens fall under the policy too, or are all kept. */
  readonly generated: "sweep" | "keep";
  /** Whether sweeps look first at what they would drop. */
  readonly drift: DriftOption;
  /** How a KV head's recovery follows from its query heads'. */
  readonly group: "min" | "mean";
  /** What the cache may take after a cut of a prompt; null where the decision stands as it is. */
  readonly target: ByteTarget | null;
  /** Knows the statistics that plug-ins compute. */
  readonly registry: PolicyRegistry;
}
