/** Seeds below are held out: nothing in this repository was tuned on them. Those from here on are for calibration. */
const CALIBRATION = 2 ** 40;

/** The seed of an example: no two tasks, samples or runs share one. */
export function exampleSeed(run: number, task: number, sample: number, kind: "held-out" | "calibration"): number {
  const base = kind === "calibration" ? CALIBRATION : 0;
  return base + ((run % 2 ** 12) * 2 ** 27 + (task % 2 ** 5) * 2 ** 22 + (sample % 2 ** 22));
}

/** What takes the place of a task's number where documents are drawn that no task's are. */
export const RESERVED = { timed: 30, calibrated: 31, reproduced: 29 } as const;
