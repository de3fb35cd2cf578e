import type { GatherSpec } from "@winnow/core-tensor";
import { OPERATIONS, checkGather, f32Of, u32Of, type Poll } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";
import { expectPage } from "./page-arguments";
import { moveColumns } from "./slot-columns";

/** Copy the kept scratch rows of each head behind its kept slots, with the table's columns; those it lacks are 0. */
export function gatherOf(machine: Machine): (spec: GatherSpec, poll: Poll) => void {
  const { kernels, memory, pages, work } = machine;
  return (spec, poll) => {
    const { heads, scratch, start, count, paged, slots, keep, firstRow } = spec;
    const counts = u32Of(slots.counts);
    checkGather(spec, counts);
    const into = pages.of(paged, heads);
    pages.use(into);
    if (into.kvType !== "f32") {
      OPERATIONS.gather(spec, poll);
      return;
    }
    moveColumns(machine, slots);
    const [missing = 0] = work.reserve(4 * heads.kvHeads);
    kernels.gather(
      heads.kvHeads,
      heads.headDim,
      firstRow,
      memory.addressOf(u32Of(keep)),
      keep.shape[1] ?? 0,
      memory.addressOf(f32Of(scratch.k)),
      memory.addressOf(f32Of(scratch.v)),
      scratch.k.shape[1] ?? 0,
      start,
      count,
      memory.addressOf(counts),
      missing,
    );
    work.words(missing, heads.kvHeads).forEach(expectPage);
  };
}
