/** Characters of the longest token that is put together. SentencePiece's own limit is 16; spaces are joined to longer ones. */
const LONGEST = 512;

/**
 * SentencePiece's pairs as merges: the pair whose join scores best is merged first. Every way to put a token together from two
 * others is one; of one token's, those of smaller ids come first.
 *
 * @param tokens by id.
 * @param scores of the tokens, the better the greater.
 * @returns `left right`, in the order in which they take precedence.
 */
export function mergesByScore(tokens: readonly string[], scores: ArrayLike<number>): string[] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const found: { readonly left: number; readonly right: number; readonly score: number }[] = [];
  tokens.forEach((token, id) => {
    const characters = Array.from(token);
    if (characters.length > LONGEST) return;
    for (let cut = 1; cut < characters.length; cut++) {
      const left = ids.get(characters.slice(0, cut).join(""));
      const right = ids.get(characters.slice(cut).join(""));
      if (left !== undefined && right !== undefined) found.push({ left, right, score: scores[id] ?? 0 });
    }
  });
  found.sort((a, b) => b.score - a.score || a.left - b.left || a.right - b.right);
  return found.map(({ left, right }) => `${tokens[left] ?? ""} ${tokens[right] ?? ""}`);
}
