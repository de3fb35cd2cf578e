import type { DeviceTensor } from "@winnow/core-tensor";

import type { PagePlace } from "./slab-pool";

/** Pages of a list that lie one behind the other in one slab. */
export interface PageRun {
  readonly slab: DeviceTensor;
  /** The first one's first element. */
  readonly offset: number;
  /** Its place in the list, and their number. */
  readonly first: number;
  readonly count: number;
}

/** Pages, in as few pieces as they lie in. */
export function runsOf(places: readonly PagePlace[], pageElements: number): PageRun[] {
  const runs: PageRun[] = [];
  places.forEach(({ slab, offset }, i) => {
    const last = runs.at(-1);
    if (last?.slab === slab && last.offset + last.count * pageElements === offset) {
      runs[runs.length - 1] = { ...last, count: last.count + 1 };
    } else runs.push({ slab, offset, first: i, count: 1 });
  });
  return runs;
}

/** Where pages lie one behind the other both here and there: as few copies as will do. */
export function commonRuns(
  from: readonly PagePlace[],
  to: readonly PagePlace[],
  pageElements: number,
): { readonly from: PageRun; readonly to: PageRun }[] {
  return runsOf(from, pageElements).flatMap((run) => {
    const targets = runsOf(to.slice(run.first, run.first + run.count), pageElements);
    return targets.map((target) => ({
      from: {
        ...run,
        offset: run.offset + target.first * pageElements,
        first: run.first + target.first,
        count: target.count,
      },
      to: { ...target, first: run.first + target.first },
    }));
  });
}
