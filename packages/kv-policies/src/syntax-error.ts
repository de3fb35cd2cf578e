import { WinnowError } from "@winnow/core-tensor";

/** A policy's text that does not parse: where, what was found, and what was expected there. */
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
    super("policy", `policy "${text}", character ${position + 1}: ${problem}`);
  }

  /** The text with a caret under the place, on two lines. */
  caret(): string {
    return `${this.text.replaceAll(/\s/g, " ")}\n${" ".repeat(this.position)}^`;
  }
}

/** The name nearest to a mistyped one, or null where none is near. */
export function nearest(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
