import { evaluate, type Expr } from "@winnow/core-tensor";

import { slotsOf } from "./amount";
import type { HeadView } from "./head-view";
import type { PolicyNode } from "./policy-node";
import { TokenClass } from "./token-class";

/**
 * The meaning of a policy, read straight off its parts. It shares nothing with the compiled form but the scores, so that
 * each can be tested against the other.
 *
 * @param layer all heads of the layer, `head` among them, for rankings over the layer.
 * @returns 1 for each slot of the head that is kept.
 */
export function keepNode(node: PolicyNode, head: HeadView, layer: readonly HeadView[]): Uint8Array {
  const where = (test: (slot: number) => boolean): Uint8Array =>
    Uint8Array.from({ length: head.count }, (_, slot) => (test(slot) ? 1 : 0));
  const position = (slot: number): number => head.position[slot] ?? 0;
  const hasClass = (bit: number): Uint8Array => where((slot) => ((head.flags[slot] ?? 0) & bit) !== 0);
  const keep = (part: PolicyNode): Uint8Array => keepNode(part, head, layer);
  switch (node.kind) {
    case "full":
      return where(() => true);
    case "none":
      return where(() => false);
    case "special":
      return hasClass(TokenClass.special);
    case "punctuation":
      return hasClass(TokenClass.punctuation);
    case "tokens":
      return hasClass(head.classes.bitOf(node.set));
    case "sink":
      return where((slot) => position(slot) < node.count);
    case "every":
      return where((slot) => position(slot) % node.period === node.offset);
    case "recent": {
      const window = slotsOf(node.amount, head.promptTokens);
      return where((slot) => head.now - position(slot) < window);
    }
    case "top": {
      const rivals = node.scope === "layer" ? layer : [head];
      const k = rivals.length * slotsOf(node.amount, head.length);
      return greatest(rivals, node.score, k, head, null);
    }
    case "limit":
      return greatest([head], node.score, slotsOf(node.amount, head.length), head, keep(node.of));
    case "not": {
      const of = keep(node.of);
      return where((slot) => of[slot] === 0);
    }
    case "minus": {
      const left = keep(node.left);
      const right = keep(node.right);
      return where((slot) => left[slot] === 1 && right[slot] === 0);
    }
    case "and": {
      const parts = node.of.map(keep);
      return where((slot) => parts.every((part) => part[slot] === 1));
    }
    case "or": {
      const parts = node.of.map(keep);
      return where((slot) => parts.some((part) => part[slot] === 1));
    }
  }
}

/**
 * One head's slots that are among the k of greatest score over all rivals: ties go to the earlier position, then to the
 * lower head; a score that is not a number comes last.
 *
 * @param within which of the head's slots compete, where it is its own only rival; null for all.
 */
function greatest(
  rivals: readonly HeadView[],
  score: Expr,
  k: number,
  head: HeadView,
  within: Uint8Array | null,
): Uint8Array {
  const entries = rivals.flatMap((rival) => {
    const scores = evaluate(score, rival);
    return Array.from({ length: rival.count }, (_, slot) => {
      const value = scores[slot] ?? NaN;
      return { rival, slot, position: rival.position[slot] ?? 0, value: Number.isNaN(value) ? -Infinity : value };
    });
  });
  const ranked = entries
    .filter(({ slot }) => within === null || within[slot] === 1)
    .sort((a, b) => {
      if (a.value !== b.value) return a.value > b.value ? -1 : 1;
      return a.position - b.position || a.rival.row - b.rival.row;
    });
  const kept = new Uint8Array(head.count);
  for (const { rival, slot } of ranked.slice(0, k)) if (rival.row === head.row) kept[slot] = 1;
  return kept;
}
