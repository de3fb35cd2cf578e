import type { RowRange } from "@winnow/core-tensor";

/**
 * Where profiled rows come from. `prompt`: all its rows, as in the paper. `late`: its last eighth, at least 32.
 * `probe`: a short use of the prompt that rides along and is thrown away, with the prompt's last eight rows.
 */
export type RowSource = "prompt" | "late" | "probe";

/** The rows that are profiled, counted over the prompt's new rows and then the probe's. */
export interface ProfiledRows {
  readonly source: RowSource;
  readonly ranges: readonly RowRange[];
  readonly count: number;
  /** Why the source is not the one that was asked for. */
  readonly note: string | null;
}

/** Rows of the prompt that a probe is profiled with: how the prompt itself ends counts too. */
const LAST_ROWS = 8;

/**
 * @param promptRows new rows of the prompt.
 * @param probeRows rows of the probe; 0 where none fits or there is nothing to replay, and the rows are then late ones.
 * @example profiledRows("probe", 100, 40).ranges // rows 92 to 140
 */
export function profiledRows(source: RowSource, promptRows: number, probeRows: number): ProfiledRows {
  if (source === "prompt") return over("prompt", 0, promptRows, null);
  if (source === "probe" && probeRows > 0) {
    return over("probe", Math.max(0, promptRows - LAST_ROWS), promptRows + probeRows, null);
  }
  const late = Math.max(32, Math.ceil(promptRows / 8));
  const note =
    source === "probe" ? "no probe fits behind the prompt in the context; its late rows were profiled instead" : null;
  return over("late", Math.max(0, promptRows - late), promptRows, note);
}

function over(source: RowSource, start: number, end: number, note: string | null): ProfiledRows {
  return { source, ranges: [{ start, end, stride: 1 }], count: end - start, note };
}
