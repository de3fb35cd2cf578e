/** New tokens that a chunk has to replay to be worth its rows, and worth them at least twice over. */
const LEAST_STEP = 32;

/** Tokens of the previous piece that a later chunk begins with, so that it can find its place. */
const OVERLAP = 8;

/**
 * The chunks of a probe that asks for a text again and replays it: the request, then as much of the text as fits, then
 * the request again and the next part. Each chunk is read over the prompt alone, so none is longer than the room that
 * the context leaves behind the prompt.
 *
 * @param request ids of a turn that asks to repeat the text.
 * @param subject ids of the text.
 * @param room the most tokens in one chunk.
 * @returns no chunk at all where the room is so small that most rows would only say again where they are.
 */
export function replayChunks(request: readonly number[], subject: readonly number[], room: number): number[][] {
  const step = room - request.length - OVERLAP;
  const fits = subject.length + request.length <= room;
  if (subject.length === 0 || (!fits && (step < LEAST_STEP || step < room / 2))) return [];
  const chunks: number[][] = [];
  for (let start = 0; start < subject.length;) {
    const from = Math.max(0, start - OVERLAP);
    const end = Math.min(subject.length, from + room - request.length);
    chunks.push([...request, ...subject.slice(from, end)]);
    start = end;
  }
  return chunks;
}
