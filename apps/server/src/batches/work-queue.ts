/** A line that waits to be run. */
export interface LineTask {
  readonly batch: string;
  readonly line: number;
  /** The line as it is in the input file. */
  readonly text: string;
}

/** What a queue knows of a line that it hands out. */
export interface Attempt {
  /** How often the line has been tried and put back. */
  readonly tries: number;
  /** How often a process was lost while it ran the line. */
  readonly deaths: number;
  /** Aborts when the process ends and cannot wait for the line. */
  readonly signal: AbortSignal;
}

/** What a batch needs done besides its lines. Each kind can be done twice without harm. */
export type StepKind = "expand" | "finish";

/** What takes work from the queue. */
export interface QueueWork {
  step(batch: string): Promise<void>;
  /**
   * @throws `TryAgain` to have the line again after a pause
   * @throws anything once `attempt.signal` has aborted: the line is put back as if it had not been tried
   */
  line(task: LineTask, attempt: Attempt): Promise<void>;
}

/** A line shall be tried again later. */
export class TryAgain extends Error {
  override readonly name = "TryAgain";
}

/** Work that waits, here or elsewhere. Disposing of it stops taking any. */
export interface WorkQueue extends AsyncDisposable {
  /** Adds a step, unless the same one waits already. */
  addStep(kind: StepKind, batch: string): Promise<void>;
  /** Adds lines, but for those that wait already. */
  addLines(tasks: readonly LineTask[]): Promise<void>;
  /** Whether nothing waits or runs: then a batch that has not ended was left behind. */
  isEmpty(): Promise<boolean>;
  /** Starts taking work. */
  start(work: QueueWork): Promise<void>;
}

/** The pause before try number `tries` + 1, in ms: twice as long each time, up to a minute. */
export function retryPause(tries: number, retryMs: number): number {
  return Math.min(retryMs * 2 ** Math.min(Math.max(tries - 1, 0), 20), 60_000);
}
