import type { Draw } from "./draw";
import { Said, drawFact, filler, SENTENCE_KINDS, type Fact, type FactKind } from "./facts";

/** How long a text is to be, and how that is counted. */
export interface Size {
  /** The most tokens. */
  readonly tokens: number;
  readonly count: (text: string) => number;
}

/** A text, and what can be asked about it. */
export interface Document {
  readonly text: string;
  /** In the order of their sentences; those that were wanted come first. */
  readonly facts: readonly Fact[];
}

/** Of the sentences of an ordinary document, those that are facts. */
const FACT_SHARE = 0.45;
/** Of its sentences, those that end a line. */
const LINE_ENDS = 0.12;

/**
 * A document about as long as it may be.
 *
 * @param wanted facts that it has in any case, at places that are drawn.
 * @param others kinds of the further facts; none for fillers alone.
 * @param share of further sentences that are facts.
 */
export function drawDocument(
  draw: Draw,
  size: Size,
  wanted: readonly FactKind[],
  others: readonly FactKind[] = SENTENCE_KINDS,
  share = FACT_SHARE,
): Document {
  const said = new Said();
  const first = wanted.map((kind) => drawFact(kind, draw, said));
  const further: Fact[] = [];
  const sentences = first.flatMap(({ sentences: own }) => own);
  let length = size.count(sentences.join(" "));
  for (;;) {
    const fact = others.length > 0 && draw.unit() < share ? drawFact(draw.one(others), draw, said) : null;
    const own = fact === null ? [filler(draw)] : fact.sentences;
    length += size.count(` ${own.join(" ")}`);
    if (length > size.tokens) break;
    sentences.push(...own);
    if (fact !== null) further.push(fact);
  }
  const lines = draw.shuffled(sentences).map((sentence) => (draw.unit() < LINE_ENDS ? `${sentence}\n` : sentence));
  const text = lines.join(" ").replaceAll("\n ", "\n").trim();
  return { text, facts: [...first, ...further] };
}
