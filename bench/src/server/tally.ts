import type { Answer, Reply } from "./ask";
import type { Question } from "./question";

const MOST_EXAMPLES = 10;

/** A question, and the answer that it has whatever else the server does. */
export interface Known {
  readonly question: Question;
  readonly text: string;
}

/** How many requests ended how. */
export interface Counts {
  /** As it was known beforehand, to the letter. */
  readonly right: number;
  /** Another question's answer. */
  readonly mixedUp: number;
  /** An answer that no question has. */
  readonly wrong: number;
  /** No answer, half of one, or an error that the client is not at fault for. */
  readonly lost: number;
  /** Refused as too many; each was asked again, or the test was over. */
  readonly tooMany: number;
  /** The client went away amid the answer, or before it. */
  readonly left: number;
  /** Answers with a beginning that was kept. */
  readonly withKeptPrefix: number;
  readonly tokens: number;
}

/** Judges replies, and counts them. */
export class Tally {
  #counts: Counts = { right: 0, mixedUp: 0, wrong: 0, lost: 0, tooMany: 0, left: 0, withKeptPrefix: 0, tokens: 0 };
  readonly #examples: string[] = [];
  readonly #betweenMs: number[] = [];
  readonly #firstMs: number[] = [];

  constructor(private readonly known: readonly Known[]) {}

  get counts(): Counts {
    return this.#counts;
  }

  /** Some of what went wrong, in words. */
  get examples(): readonly string[] {
    return this.#examples;
  }

  get betweenMs(): readonly number[] {
    return this.#betweenMs;
  }

  /** Of the requests that were taken. */
  get firstMs(): readonly number[] {
    return this.#firstMs;
  }

  take(asked: Known, reply: Reply): void {
    switch (reply.kind) {
      case "answer":
        this.#judge(asked, reply);
        return;
      case "left":
        this.#add({ left: 1 });
        return;
      case "refused":
        if (reply.status !== 429) {
          this.#add({ lost: 1 });
          this.#tell(`${asked.question.marker}: status ${reply.status}, ${reply.reason.slice(0, 300)}`);
        }
        return;
      case "lost":
        this.#add({ lost: 1 });
        this.#tell(`${asked.question.marker}: ${reply.reason}`);
        return;
    }
  }

  tooMany(times: number): void {
    this.#add({ tooMany: times });
  }

  #judge({ question: { marker }, text }: Known, answer: Answer): void {
    this.#add({ tokens: answer.tokens, withKeptPrefix: answer.cachedTokens > 0 ? 1 : 0 });
    this.#betweenMs.push(...answer.betweenMs);
    if (!Number.isNaN(answer.firstMs)) this.#firstMs.push(answer.firstMs);
    if (answer.text === text) {
      this.#add({ right: 1 });
      return;
    }
    const owner = this.known.find((other) => other.text === answer.text || answer.text.includes(other.question.marker))
      ?.question.marker;
    const isOthers = owner !== undefined && owner !== marker;
    this.#add(isOthers ? { mixedUp: 1 } : { wrong: 1 });
    const whose = isOthers ? `the answer of ${owner}` : "no known answer";
    this.#tell(`${marker}: ${whose}: ${JSON.stringify(answer.text)}, expected ${JSON.stringify(text)}`);
  }

  #add(more: Partial<Counts>): void {
    const { right, mixedUp, wrong, lost, tooMany, left, withKeptPrefix, tokens } = this.#counts;
    this.#counts = {
      right: right + (more.right ?? 0),
      mixedUp: mixedUp + (more.mixedUp ?? 0),
      wrong: wrong + (more.wrong ?? 0),
      lost: lost + (more.lost ?? 0),
      tooMany: tooMany + (more.tooMany ?? 0),
      left: left + (more.left ?? 0),
      withKeptPrefix: withKeptPrefix + (more.withKeptPrefix ?? 0),
      tokens: tokens + (more.tokens ?? 0),
    };
  }

  #tell(example: string): void {
    if (this.#examples.length < MOST_EXAMPLES) this.#examples.push(example);
  }
}
