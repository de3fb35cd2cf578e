/** A question of a file, whose answer is written and then compared. */
export interface FileExample {
  readonly context: string;
  readonly question: string;
  /** What is right: any of them, or all, as the file's format has it. */
  readonly answers: readonly string[];
}

/** Questions of a file. */
export interface FileTask {
  readonly name: string;
  readonly examples: readonly FileExample[];
  /** In [0, 1]: how right a written answer is. */
  readonly score: (written: string, answers: readonly string[]) => number;
}
