/** Where a conversation is cut: before its first question is read, behind that, or behind its last. */
export const CUT_POINTS = ["unseen", "seen", "whole"] as const;
export type CutPoint = (typeof CUT_POINTS)[number];

/** What had been read when the cache was cut. */
export function cutPointText(point: CutPoint): string {
  switch (point) {
    case "unseen":
      return "question not seen before the cut";
    case "seen":
      return "question seen before the cut";
    case "whole":
      return "the whole conversation seen before the cut";
  }
}
