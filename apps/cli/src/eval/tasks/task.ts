import type { Size } from "../world/document";
import type { Draw } from "../world/draw";

/** A question and its right answer. */
export interface Turn {
  readonly question: string;
  readonly answer: string;
}

/** What is read, and what is asked about it. */
export interface Example {
  readonly system: string | null;
  /** The beginning of the first user message: what is read before the cut where the question is not seen. */
  readonly context: string;
  /** The first question stands behind the context, a blank line between; later ones are messages of their own. */
  readonly turns: readonly Turn[];
}

/**
 * How answers are scored, teacher-forced. `exact`: 1 where every token of the last answer is the first choice, else 0.
 * `graded`: the share of its tokens that are. `likelihood`: exp of the mean log-probability of its tokens.
 */
export type Grading = "exact" | "graded" | "likelihood";

export interface Task {
  readonly name: string;
  readonly description: string;
  readonly grading: Grading;
  example(draw: Draw, size: Size): Example;
}
