/** What is told that nobody reads the output any more. */
const ends = new Set<() => void>();

/**
 * Have the program end in order, with what it saves, and not at once, when the reader of its output has seen enough.
 *
 * @param end called then, and for every further write in vain; what is under way must stop, so that the program ends on its own.
 * @returns as long as it is not disposed of.
 */
export function endInOrder(end: () => void): Disposable {
  ends.add(end);
  return { [Symbol.dispose]: () => void ends.delete(end) };
}

/** @returns whether the program ends on its own. */
export function outputClosed(): boolean {
  for (const end of ends) end();
  return ends.size > 0;
}
