import { formatBytes } from "@winnow/profiler";

import { progressBar, type Progress } from "./progress";

/** How far a download is, on standard error: a bar on a terminal, else a line for each tenth. */
export function downloadProgress(): Progress {
  if (!process.stderr.isTTY) return tenths();
  let bar: Progress | null = null;
  return {
    update: (done, total) => {
      bar ??= progressBar(`pulling ${formatBytes(total)}`, false);
      bar.update(done, total);
    },
    stop: () => bar?.stop(),
  };
}

function tenths(): Progress {
  let told = 0;
  return {
    update: (done, total) => {
      const tenth = Math.floor((10 * done) / total);
      if (tenth <= told) return;
      told = tenth;
      process.stderr.write(`winnow: ${10 * tenth} % of ${formatBytes(total)}\n`);
    },
    stop: () => undefined,
  };
}
