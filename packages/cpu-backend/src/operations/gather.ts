import type { GatherSpec } from "@winnow/core-tensor";
import { OPERATIONS, f32Of, u32Of, type Poll } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";
import { expectPage } from "./page-arguments";
import { moveColumns } from "./slot-columns";

/** Copy the kept scratch rows of each head behind its kept slots, with the table's columns; those it lacks are 0. */
export function gatherOf({ kernels, pages, work }: Machine): (spec: GatherSpec, poll: Poll) => void {
  return (spec, poll) => {
    const { heads, scratch, start, count, paged, slots, keep, firstRow } = spec;
    if (pages.use(paged, heads.headDim, heads.kvHeads) !== "f32") {
      OPERATIONS.gather(spec, poll);
      return;
    }
    moveColumns(kernels, slots);
    const [missing = 0] = work.reserve(4 * heads.kvHeads);
    kernels.gather(
      heads.kvHeads,
      heads.headDim,
      firstRow,
      u32Of(keep).byteOffset,
      keep.shape[1] ?? 0,
      f32Of(scratch.k).byteOffset,
      f32Of(scratch.v).byteOffset,
      scratch.k.shape[1] ?? 0,
      start,
      count,
      u32Of(slots.counts).byteOffset,
      missing,
    );
    work.words(missing, heads.kvHeads).forEach(expectPage);
  };
}
