import { Random } from "./random";

/** A request for an answer that is the same each time: the seed is in the body. */
export interface Question {
  /** What no other question's text holds. */
  readonly marker: string;
  readonly messages: readonly Message[];
  /** What else is in the body of `POST /v1/chat/completions`, but for `stream`. */
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface Message {
  readonly role: "system" | "user";
  readonly content: string;
}

export interface QuestionSize {
  /** Sentences of the document, at least and at most; a sentence has about nine tokens. */
  readonly sentences: readonly [number, number];
  readonly maxTokens: number;
}

/** The demo model's own world. */
const NAMES = ["Mira", "Tom", "Ana", "Leo", "Nora", "Finn", "Ruth", "Omar", "Ivy", "Hugo", "Lena", "Max"];
const COLOURS = ["red", "blue", "green", "black", "white", "yellow", "silver", "golden"];
const OBJECTS = ["key", "lamp", "book", "coin", "map", "ring", "cup", "box", "bell", "drum"];
const PLACES = ["kitchen", "garden", "attic", "cellar", "library", "market", "school", "tower", "barn"];
const JOBS = ["baker", "teacher", "doctor", "farmer", "sailor", "painter", "pilot"];

/** A document whose first sentence is the marker, which the answer is to repeat. */
export function makeQuestion(number: number, { sentences: [least, most], maxTokens }: QuestionSize): Question {
  const random = new Random(1, number);
  // Digits are spaced so that neighbours differ in more than the last.
  const marker = String(1000 + ((number * 7919) % 9000));
  const first = `The code of the ${random.choose(COLOURS)} ${random.choose(OBJECTS)} is ${marker}.`;
  const document = [first, ...sentences(random, random.whole(least, most) - 1)].join(" ");
  return {
    marker,
    messages: [{ role: "user", content: `${document}\n\nRepeat the text.` }],
    settings: { model: "demo", max_tokens: maxTokens, temperature: 0.9, seed: number },
  };
}

/** A system message that is long enough for the server to keep. */
export function longSystemMessage(): string {
  return sentences(new Random(2, 0), 34).join(" ");
}

function sentences(random: Random, count: number): string[] {
  return Array.from({ length: count }, () => sentence(random));
}

/** Without a number, so that it holds no marker. */
function sentence(random: Random): string {
  const name = random.choose(NAMES);
  switch (random.whole(0, 2)) {
    case 0:
      return `${name} keeps the ${random.choose(COLOURS)} ${random.choose(OBJECTS)} in the ${random.choose(PLACES)}.`;
    case 1:
      return `${name} works as a ${random.choose(JOBS)}.`;
    default:
      return `${name} and ${random.choose(NAMES)} walked slowly to the ${random.choose(PLACES)} and back again.`;
  }
}
