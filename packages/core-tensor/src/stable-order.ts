const DIGIT_BITS = 11;
const DIGITS = 2 ** DIGIT_BITS;

/**
 * Bring numbers into the ascending order of their keys; those of equal keys keep their order. A radix sort: rankings
 * run for every token, and a comparator called n·log n times costs ten times as much.
 *
 * @param order which numbers, and in which order: places in `keys`.
 */
export function stableOrder(order: Uint32Array, keys: Uint32Array): Uint32Array {
  if (isAscending(order, keys)) return order;
  let from = order;
  let to: Uint32Array = new Uint32Array(order.length);
  const starts = new Uint32Array(DIGITS);
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    starts.fill(0);
    for (const place of from) {
      const digit = ((keys[place] ?? 0) >>> shift) & (DIGITS - 1);
      starts[digit] = (starts[digit] ?? 0) + 1;
    }
    let next = 0;
    let distinct = 0;
    for (let digit = 0; digit < DIGITS; digit++) {
      const count = starts[digit] ?? 0;
      starts[digit] = next;
      next += count;
      if (count > 0) distinct++;
    }
    if (distinct <= 1) continue;
    for (const place of from) {
      const digit = ((keys[place] ?? 0) >>> shift) & (DIGITS - 1);
      const slot = starts[digit] ?? 0;
      to[slot] = place;
      starts[digit] = slot + 1;
    }
    // The caller's list stays as it is.
    [from, to] = [to, from === order ? new Uint32Array(order.length) : from];
  }
  return from;
}

function isAscending(order: Uint32Array, keys: Uint32Array): boolean {
  let last = 0;
  for (const place of order) {
    const key = keys[place] ?? 0;
    if (key < last) return false;
    last = key;
  }
  return true;
}

/** Keys whose ascending order is that of falling scores; a score that is not a number counts as the least. */
export function fallingKeys(scores: Float32Array): Uint32Array {
  const words = new Uint32Array(scores.buffer, scores.byteOffset, scores.length);
  const keys = new Uint32Array(scores.length);
  for (let i = 0; i < keys.length; i++) {
    const score = scores[i] ?? NaN;
    const word = words[i] ?? 0;
    if (Number.isNaN(score)) keys[i] = 0xff800000;
    // Both zeros are one score.
    else if (score === 0) keys[i] = 0x7fffffff;
    // As an integer, the word of a positive number grows with it, and that of a negative one falls.
    else keys[i] = word >= 0x80000000 ? word : 0x7fffffff - word;
  }
  return keys;
}
