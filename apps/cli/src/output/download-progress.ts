import { formatBytes } from "@winnow/profiler";

import { progressBar, type Progress } from "./progress";

/** How far a download is, and what holds it up. */
export interface DownloadProgress extends Progress {
  /** A line of its own. */
  readonly note: (line: string) => void;
}

/** On standard error: a bar on a terminal, else a line for each tenth. */
export function downloadProgress(): DownloadProgress {
  return process.stderr.isTTY ? bar() : tenths();
}

function bar(): DownloadProgress {
  let drawn: Progress | null = null;
  const stop = (): void => {
    drawn?.stop();
    drawn = null;
  };
  return {
    update: (done, total) => {
      drawn ??= progressBar(`pulling ${formatBytes(total)}`, false);
      drawn.update(done, total);
    },
    note: (line) => {
      stop();
      writeLine(line);
    },
    stop,
  };
}

function tenths(): DownloadProgress {
  let told = 0;
  return {
    update: (done, total) => {
      const tenth = Math.floor((10 * done) / total);
      if (tenth <= told) return;
      told = tenth;
      writeLine(`${10 * tenth} % of ${formatBytes(total)}`);
    },
    note: writeLine,
    stop: () => undefined,
  };
}

function writeLine(line: string): void {
  process.stderr.write(`winnow: ${line}\n`);
}
