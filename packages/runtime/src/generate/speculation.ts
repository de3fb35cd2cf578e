import { DraftRows } from "../cache/draft-rows";
import type { Engine } from "../engine";
import type { DraftFinder, Drafting } from "./draft-finder";

/** What guessing an answer's tokens came to. */
export interface SpeculationCounts {
  /** Steps that the answer took: without a draft that is well guessed, one for each of its tokens. */
  readonly steps: number;
  /** Guessed tokens that were read. */
  readonly drafted: number;
  /** Those of them that were drawn as well. */
  readonly accepted: number;
}

/** Where an answer came to nothing. */
export const NO_SPECULATION: SpeculationCounts = { steps: 0, drafted: 0, accepted: 0 };

/**
 * Guesses for a step: the token that it draws, and those behind it. The device reads the token that is drawn and, behind it,
 * the others, and draws again from the row of each; as long as that is what was guessed, it has read the answer.
 */
export interface Draft {
  /** The token that the step draws, for the repetition penalty of those behind it. */
  readonly first: number;
  /** At least one. */
  readonly behind: readonly number[];
  readonly rows: DraftRows;
}

/**
 * Speculation over one answer (Leviathan et al. 2023, arXiv 2211.17192; Chen et al. 2023, arXiv 2302.01318), with guesses that
 * cost no model. A token is drawn by its seed, choice and position alone, so what a guess is held against is the very token
 * that would have been drawn without it, and the answer is the same token by token. After a step that drew some of its
 * guesses twice as many are made, and after one that drew none a single one.
 */
export class Speculation implements Disposable {
  readonly #finder: DraftFinder;
  /** Tokens to guess at a time now. */
  #length: number;
  #rows: DraftRows | null = null;
  #steps = 0;
  #drafted = 0;
  #accepted = 0;

  /** @param tokens everything before the answer. */
  constructor(
    private readonly engine: Engine,
    private readonly drafting: Drafting,
    tokens: readonly number[],
  ) {
    this.#finder = drafting.finder();
    this.#length = drafting.most;
    for (const token of tokens) this.#finder.push(token);
  }

  get counts(): SpeculationCounts {
    return { steps: this.#steps, drafted: this.#drafted, accepted: this.#accepted };
  }

  /**
   * Guess what the next step draws.
   *
   * @param most rows that the step may read at most, that of the token it draws included.
   */
  propose(most: number): Draft | null {
    const behind = Math.min(this.#length, most - 1);
    if (behind < 1) return null;
    const [first, ...others] = this.#finder.propose(1 + behind);
    if (first === undefined || others.length === 0) return null;
    this.#rows ??= new DraftRows(this.engine, this.drafting.most);
    return { first, behind: others, rows: this.#rows };
  }

  /**
   * Take note of what a step came to.
   *
   * @param drafted guessed tokens that it read.
   * @param tokens what it drew.
   */
  note(drafted: number, tokens: readonly number[]): void {
    const accepted = tokens.length - 1;
    this.#steps++;
    this.#drafted += drafted;
    this.#accepted += accepted;
    // So a text that is not guessed well costs little more than without guesses.
    if (drafted > 0) this.#length = Math.min(this.drafting.most, Math.max(1, 2 * accepted));
    for (const token of tokens) this.#finder.push(token);
  }

  [Symbol.dispose](): void {
    this.#rows?.[Symbol.dispose]();
    this.#rows = null;
  }
}
