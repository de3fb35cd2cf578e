import { byteLevelBytes } from "../../tokenizer/byte-level";

/** A vocabulary of byte pairs, in GPT-2's letters. */
export interface BytePairs {
  readonly tokens: readonly string[];
  /** `left right`, the most frequent first. */
  readonly merges: readonly string[];
}

/**
 * Byte pairs trained on a text as one word: its merges reach over spaces, digits and signs, so that it shows in the ids where a
 * pre-tokenizer cuts.
 */
export function trainBytePairs(text: string, count: number): BytePairs {
  const letters = new Map<number, string>();
  for (let code = 33; code < 0x180; code++) {
    const letter = String.fromCodePoint(code);
    const [byte, ...more] = byteLevelBytes(letter);
    if (byte !== undefined && more.length === 0) letters.set(byte, letter);
  }
  const tokens = Array.from({ length: 256 }, (_, byte) => letters.get(byte) ?? "");
  const merges: string[] = [];
  let word = Array.from(new TextEncoder().encode(text), (byte) => letters.get(byte) ?? "");
  while (merges.length < count) {
    const seen = new Map<string, number>();
    word.slice(1).forEach((right, i) => {
      const pair = `${word[i] ?? ""} ${right}`;
      seen.set(pair, (seen.get(pair) ?? 0) + 1);
    });
    const [best] = [...seen].sort(([, a], [, b]) => b - a)[0] ?? [];
    if (best === undefined) break;
    merges.push(best);
    tokens.push(best.replace(" ", ""));
    const [left, right] = best.split(" ");
    const merged: string[] = [];
    for (let i = 0; i < word.length; i++) {
      if (word[i] === left && word[i + 1] === right) merged.push(`${word[i++] ?? ""}${word[i] ?? ""}`);
      else merged.push(word[i] ?? "");
    }
    word = merged;
  }
  return { tokens: [...new Set(tokens)], merges };
}
