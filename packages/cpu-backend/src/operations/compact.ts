import type { CompactSpec } from "@winnow/core-tensor";
import { u32Of } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";
import { moveColumns } from "./slot-columns";

/** Move the kept slots of each head down over the dropped ones, in order, with their columns: the table's, else their own. */
export function compactOf({ kernels, pages }: Machine): (spec: CompactSpec) => void {
  return ({ heads, paged, slots, keep, firstRow }) => {
    pages.use(paged, heads.headDim, heads.kvHeads);
    moveColumns(kernels, slots);
    kernels.compact(heads.kvHeads, firstRow, u32Of(keep).byteOffset, keep.shape[1] ?? 0);
  };
}
