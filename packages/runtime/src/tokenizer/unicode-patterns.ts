/** How GPT-2 cuts a text into words, which a ByteLevel of `tokenizer.json` does unless it says otherwise. */
export const GPT2_WORDS = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/**
 * A `pre_tokenizer` or `normalizer` of a `tokenizer.json`, its expressions written so that JavaScript finds in a text what
 * Oniguruma does, for which they were written: to JavaScript U+FEFF is white space and U+0085 is none, and digits are
 * ASCII's.
 */
export function withUnicodePatterns(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(withUnicodePatterns);
  if (typeof part !== "object" || part === null) return part;
  const entries = Object.entries(part).map(([key, value]: [string, unknown]): [string, unknown] => [
    key,
    key === "Regex" && typeof value === "string" ? inJavaScript(value) : withUnicodePatterns(value),
  ]);
  const copy: Readonly<Record<string, unknown>> = Object.fromEntries(entries);
  // With a space before the text the words are others, and the library's own way stays.
  if (copy.type !== "ByteLevel" || copy.use_regex === false || copy.add_prefix_space !== false) return copy;
  const words = { type: "Split", pattern: { Regex: inJavaScript(GPT2_WORDS) }, behavior: "Isolated", invert: false };
  return { type: "Sequence", pretokenizers: [words, { ...copy, use_regex: false }] };
}

const CLASSES: Readonly<Record<string, string>> = {
  s: String.raw`\p{White_Space}`,
  S: String.raw`\P{White_Space}`,
  d: String.raw`\p{Nd}`,
  D: String.raw`\P{Nd}`,
};

function inJavaScript(expression: string): string {
  return expression.replaceAll(/\\(.)/gs, (escape, letter: string) => CLASSES[letter] ?? escape);
}
