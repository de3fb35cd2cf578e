/** One table or figure of the paper: what was measured beside what it says. */
export interface Section {
  readonly title: string;
  /** How it was measured, in a sentence or two. */
  readonly note: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Markup of a picture, for pages. */
  readonly picture: string | null;
}
