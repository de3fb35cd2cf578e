/** Bounds and times of batch jobs; every one has a default in `DEFAULT_SETTINGS`. */
export interface BatchSettings {
  /** Lines that run at once in this process. */
  readonly concurrency: number;
  /** The largest file taken, in bytes. */
  readonly maxFileBytes: number;
  /** The most lines of one batch. */
  readonly maxLines: number;
  /** What files and results in this process's memory may hold together, in bytes; Redis has a bound of its own. */
  readonly maxMemoryBytes: number;
  /** How often a line is run before it counts as failed; to be refused for want of room is not to be run. */
  readonly maxTries: number;
  /** How often a line may bring down the process that runs it before it counts as failed. */
  readonly maxDeaths: number;
  /** The pause before the second try; each further one is twice as long, up to a minute. */
  readonly retryMs: number;
  /** How long files, and batches that have ended, are kept. */
  readonly keepMs: number;
  /** How long lines that run may take to finish when the process ends. */
  readonly graceMs: number;
  /** After this time without a sign of life, a process has lost its line to another one. */
  readonly lockMs: number;
  /** How often it is looked for lines lost so, and for batches cancelled elsewhere. */
  readonly watchMs: number;
  /** How often it is looked for batches that a process which was killed has left half created. */
  readonly sweepMs: number;
}

export const DEFAULT_SETTINGS: BatchSettings = {
  concurrency: 4,
  maxFileBytes: 64 * 2 ** 20,
  maxLines: 50_000,
  maxMemoryBytes: 512 * 2 ** 20,
  maxTries: 5,
  maxDeaths: 5,
  retryMs: 1000,
  keepMs: 7 * 24 * 3600 * 1000,
  graceMs: 10_000,
  lockMs: 10_000,
  watchMs: 5000,
  sweepMs: 30_000,
};

/** `completion_window`: what has not run by then is not run any more. */
export const COMPLETION_WINDOW = "24h";
export const COMPLETION_WINDOW_MS = 24 * 3600 * 1000;
