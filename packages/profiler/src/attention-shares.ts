import { TokenClass } from "@winnow/kv-policies";

import type { MassSummary, PricingOptions } from "./price";
import type { Question } from "./question";

/** Where a KV head's attention goes, as shares that add up to 1: each column counts under the first that fits. */
export interface AttentionShares {
  readonly special: number;
  readonly punctuation: number;
  /** Within the nearest window under consideration. */
  readonly recent: number;
  /** Among the third of the columns that rank first. */
  readonly frequent: number;
  readonly rest: number;
}

/** Names of the shares in the order in which they claim columns. */
export const SHARE_NAMES = ["special", "punctuation", "recent", "frequent", "rest"] as const;

const FREQUENT_SHARE = 1 / 3;

/**
 * The shares of each KV head, over the rows that were profiled and its query heads. What falls on no column of the
 * prompt, such as a probe's attention to itself, is left out.
 */
export function attentionShares(
  question: Question,
  summary: MassSummary,
  { queryHeads, kvHeads }: Pick<PricingOptions, "queryHeads" | "kvHeads">,
): AttentionShares[] {
  const perGroup = queryHeads / kvHeads;
  return Array.from({ length: kvHeads }, (_, head) => {
    const totals = { special: 0, punctuation: 0, recent: 0, frequent: 0, rest: 0 };
    for (let g = 0; g < perGroup; g++) addHead(question, summary, head, head * perGroup + g, totals);
    const sum = SHARE_NAMES.reduce((total, name) => total + totals[name], 0) || 1;
    return {
      special: totals.special / sum,
      punctuation: totals.punctuation / sum,
      recent: totals.recent / sum,
      frequent: totals.frequent / sum,
      rest: totals.rest / sum,
    };
  });
}

function addHead(
  question: Question,
  summary: MassSummary,
  head: number,
  queryHead: number,
  totals: Record<(typeof SHARE_NAMES)[number], number>,
): void {
  const { representatives, buckets, bands, classCount } = question;
  const bandCount = bands.length + 1;
  const frequentBuckets = bucketsWithin(question, summary, head);
  representatives.forEach(({ flags, distance }, group) => {
    for (let bucket = 0; bucket < buckets; bucket++) {
      for (let band = 0; band < bandCount; band++) {
        const cell = ((queryHead * classCount + group) * buckets + bucket) * bandCount + band;
        const recent = bandCount > 1 ? band === 0 : question.reading === "cut" && distance < LATEST;
        const name =
          (flags & TokenClass.special) !== 0
            ? "special"
            : (flags & TokenClass.punctuation) !== 0
              ? "punctuation"
              : recent
                ? "recent"
                : bucket < frequentBuckets
                  ? "frequent"
                  : "rest";
        totals[name] += summary.sums[cell] ?? 0;
      }
    }
  });
}

/** Where recency is read at the cut, what the ladder of the adaptive preset keeps without a score. */
const LATEST = 4;

/** Buckets of the first scale that hold no more than the share of columns; with more scales ranks are not one order. */
function bucketsWithin({ scales, buckets, classCount }: Question, { counts }: MassSummary, head: number): number {
  if (scales.length !== 1) return 0;
  const columns = counts
    .subarray(head * classCount * buckets, (head + 1) * classCount * buckets)
    .reduce((sum, count) => sum + count, 0);
  return scales[0]?.edges.filter((edge) => edge <= Math.ceil(columns * FREQUENT_SHARE)).length ?? 0;
}
