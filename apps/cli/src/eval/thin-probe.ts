import type { ProbeSource } from "@winnow/runtime";

/** About so long are pieces: enough to find their place in the text after a few tokens. */
const PIECE_TOKENS = 32;

/**
 * A probe that replays only a share of its text: pieces of some 32 tokens that lie evenly over it.
 *
 * @param share in (0, 1].
 */
export function thinProbe(probe: ProbeSource | null, share: number): ProbeSource | null {
  if (probe?.kind !== "replay" || share >= 1) return probe;
  const { subject } = probe;
  const pieces = Math.max(1, Math.round((share * subject.length) / PIECE_TOKENS));
  const step = subject.length / pieces;
  const length = Math.min(Math.ceil(share * step), Math.floor(step));
  const thinned = Array.from({ length: pieces }, (_, i) => {
    // In the middle of its stretch, so that the text's end is as near to a piece as its beginning.
    const start = Math.floor(i * step + (step - length) / 2);
    return subject.slice(start, start + length);
  });
  return { ...probe, subject: thinned.flat() };
}
