import { WinnowError } from "@winnow/core-tensor";

/** The longest piece of a policy's text that a message shows. */
const SHOWN = 72;

/**
 * A policy's text that does not parse: where, what was found, and what was expected there.
 *
 * @example
 * ```ts
 * try { parsePolicy("special | recnt(4)") } catch (error) {
 *   if (error instanceof PolicySyntaxError) console.error(`${error.message}\n${error.caret()}`);
 * }
 * ```
 */
export class PolicySyntaxError extends WinnowError {
  override readonly name = "PolicySyntaxError";

  /**
   * @param text the whole text.
   * @param position index of the character at fault; the text's length where it ends too soon.
   */
  constructor(
    readonly text: string,
    readonly position: number,
    readonly problem: string,
  ) {
    const [piece] = excerpt(text, position);
    super("policy", `policy "${piece}", character ${position + 1}: ${problem}`);
  }

  /** The text, or the piece of it around the place, with a caret under the place: two lines. */
  caret(): string {
    const [piece, at] = excerpt(this.text, this.position);
    return `${piece}\n${" ".repeat(at)}^`;
  }
}

/** One printable line of a text around a place, and where the place is in it, in characters. */
function excerpt(text: string, position: number): readonly [piece: string, at: number] {
  // Whole characters, so that neither the cut nor the caret falls into one; control characters would act on a terminal.
  const printable = (part: string): string[] =>
    Array.from(part, (character) => (/[\p{C}\p{Z}]/u.test(character) ? " " : character));
  const before = printable(text.slice(0, position));
  const after = printable(text.slice(position));
  if (before.length + after.length <= SHOWN) return [[...before, ...after].join(""), before.length];
  const left = before.length > SHOWN / 2 ? ["…", ...before.slice(-SHOWN / 2)] : before;
  const right = after.length > SHOWN / 2 ? [...after.slice(0, SHOWN / 2), "…"] : after;
  return [[...left, ...right].join(""), left.length];
}

/** The name nearest to a mistyped one, or null where none is near. */
export function nearest(name: string, known: readonly string[]): string | null {
  // An edit or two, and no more than half the name: anything is "near" a name of two letters.
  let least = Math.min(Math.max(2, Math.floor(name.length / 3)), Math.floor(name.length / 2)) + 1;
  let best: string | null = null;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= least) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, changes and swaps of neighbours between two words. */
function editDistance(a: string, b: string): number {
  let rowBefore: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? (rowBefore[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    rowBefore = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
