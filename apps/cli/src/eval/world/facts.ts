import type { Draw } from "./draw";
import { WORDS } from "./words";

/** Something that a document says, and a question that it alone answers. */
export interface Fact {
  readonly sentences: readonly string[];
  readonly question: string;
  /** In a whole sentence. */
  readonly answer: string;
  /** The one word or number that is asked for. */
  readonly value: string;
}

export type FactKind = keyof typeof KINDS;

/** What has been said already: two facts of which a question could mean either are never in one document. */
export class Said {
  readonly #keys = new Set<string>();

  /** Whether none of the keys was taken; they are now. */
  take(...keys: readonly string[]): boolean {
    if (keys.some((key) => this.#keys.has(key))) return false;
    for (const key of keys) this.#keys.add(key);
    return true;
  }
}

type Maker = (draw: Draw, said: Said) => Fact | null;

const { names, colors, objects, places, jobs, cities, animals, foods, days, numbers, relations } = WORDS;

/** A fact of one sentence. */
function fact(sentence: string, question: string, answer: string, value: string): Fact {
  return { sentences: [sentence], question, answer, value };
}

const KINDS = {
  keep: (draw, said) => {
    const [n, c, o, p] = [draw.one(names), draw.one(colors), draw.one(objects), draw.one(places)];
    if (!said.take(`keep ${n} ${c} ${o}`)) return null;
    const sentence = `${n} keeps the ${c} ${o} in the ${p}.`;
    return fact(sentence, `Where does ${n} keep the ${c} ${o}?`, sentence, p);
  },
  code: (draw, said) => {
    const [c, o] = [draw.one(colors), draw.one(objects)];
    if (!said.take(`code ${c} ${o}`)) return null;
    const digits = Array.from({ length: draw.one([3, 4, 4, 5]) }, () => draw.whole(0, 10)).join("");
    const sentence = `The code of the ${c} ${o} is ${digits}.`;
    return fact(sentence, `What is the code of the ${c} ${o}?`, sentence, digits);
  },
  job: (draw, said) => {
    const [n, j, t] = [draw.one(names), draw.one(jobs), draw.one(cities)];
    if (!said.take(`job ${n}`)) return null;
    const sentence = `${n} works as a ${j} in ${t}.`;
    return draw.unit() < 0.5
      ? fact(sentence, `What is the job of ${n}?`, `${n} works as a ${j}.`, j)
      : fact(sentence, `Where does ${n} work?`, `${n} works in ${t}.`, t);
  },
  favourite: (draw, said) => {
    const of = draw.one(["food", "animal", "color", "day"] as const);
    const value = draw.one({ food: foods, animal: animals, color: colors, day: days }[of]);
    const n = draw.one(names);
    if (!said.take(`favourite ${n} ${of}`)) return null;
    const sentence = `The favourite ${of} of ${n} is ${value}.`;
    return fact(sentence, `What is the favourite ${of} of ${n}?`, sentence, value);
  },
  relation: (draw, said) => {
    const [n, m] = draw.two(names);
    const e = draw.one(relations);
    if (!said.take(`relation ${n}`, `${e} of ${m}`)) return null;
    const sentence = `${n} is the ${e} of ${m}.`;
    return fact(sentence, `Who is ${n}?`, sentence, m);
  },
  purchase: (draw, said) => {
    const [n, m] = draw.two(names);
    const [d, count, o] = [draw.one(days), draw.one(numbers), draw.one(objects)];
    if (!said.take(`purchase ${n} ${d}`)) return null;
    const sentence = `On ${d}, ${n} bought ${count} ${o}s from ${m}.`;
    return draw.unit() < 0.5
      ? fact(sentence, `What did ${n} buy on ${d}?`, `On ${d}, ${n} bought ${count} ${o}s.`, o)
      : fact(sentence, `From whom did ${n} buy on ${d}?`, `On ${d}, ${n} bought from ${m}.`, m);
  },
  age: (draw, said) => {
    const n = draw.one(names);
    const years = String(draw.whole(18, 90));
    if (!said.take(`age ${n}`)) return null;
    const sentence = `${n} is ${years} years old.`;
    return fact(sentence, `How old is ${n}?`, sentence, years);
  },
  row: (draw, said) => {
    const id = draw.whole(100, 1000);
    if (!said.take(`row ${id}`)) return null;
    const row = { item: draw.one(objects), color: draw.one(colors), place: draw.one(places) };
    const field = draw.one(["item", "color", "place"] as const);
    const sentence = `{"id": ${id}, "item": "${row.item}", "color": "${row.color}", "place": "${row.place}"}`;
    const answer = `The "${field}" of id ${id} is "${row[field]}".`;
    return fact(sentence, `What is the "${field}" of id ${id}?`, answer, row[field]);
  },
  sight: (draw, said) => {
    const [n, c, w, p] = [draw.one(names), draw.one(colors), draw.one(animals), draw.one(places)];
    if (!said.take(`sight ${w} ${p}`)) return null;
    return fact(
      `${n} saw a ${c} ${w} near the ${p}.`,
      `Who saw the ${w} near the ${p}?`,
      `${n} saw the ${w} near the ${p}.`,
      n,
    );
  },
  /** Two sentences that one question joins. */
  chain: (draw, said) => {
    const [n, m] = draw.two(names);
    const [e, j, t] = [draw.one(relations), draw.one(jobs), draw.one(cities)];
    if (!said.take(`relation ${n}`, `job ${n}`, `${e} of ${m}`)) return null;
    return {
      sentences: [`${n} is the ${e} of ${m}.`, `${n} works as a ${j} in ${t}.`],
      question: `Where does the ${e} of ${m} work?`,
      answer: `The ${e} of ${m} works in ${t}.`,
      value: t,
    };
  },
} as const satisfies Record<string, Maker>;

/** Kinds that a document has of itself: all of one sentence. */
export const SENTENCE_KINDS = Object.keys(KINDS).filter(isSentenceKind);

function isSentenceKind(kind: string): kind is Exclude<FactKind, "chain"> {
  return kind in KINDS && kind !== "chain";
}

/** A fact of a kind that does not contradict what was said. */
export function drawFact(kind: FactKind, draw: Draw, said: Said): Fact {
  for (;;) {
    const found = KINDS[kind](draw, said);
    if (found !== null) return found;
  }
}

/** A sentence that says nothing anybody asks for. */
export function filler(draw: Draw): string {
  const [n, m] = draw.two(names);
  const [place, animal, food] = [draw.one(places), draw.one(animals), draw.one(foods)];
  const [city, day, weather, mood] = [draw.one(cities), draw.one(days), draw.one(WORDS.weather), draw.one(WORDS.moods)];
  return draw.one([
    `The weather in ${city} was ${weather} that day.`,
    `${n} felt ${mood}, and so did ${m}.`,
    `People in the ${place} talked about the ${animal}, the ${food} and the ${weather} weather.`,
    `It was a ${weather} ${day}; nobody went to the ${place}.`,
    `${n} and ${m} walked slowly to the ${place} and back again.`,
    `There was some ${food} on the table, but ${n} was not hungry.`,
    `A ${animal} slept near the ${place}, and the morning was ${weather}.`,
    `"Good morning!" said ${n}. "Good morning," said ${m}.`,
  ]);
}
