import type { CompactSpec } from "@winnow/core-tensor";
import { checkCompact, u32Of } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";
import { moveColumns } from "./slot-columns";

/** Move the kept slots of each head down over the dropped ones, in order, with their columns: the table's, else their own. */
export function compactOf(machine: Machine): (spec: CompactSpec) => void {
  const { kernels, memory, pages } = machine;
  return (spec) => {
    const { heads, paged, slots, keep, firstRow } = spec;
    checkCompact(spec, u32Of(paged.lengths));
    pages.use(pages.of(paged, heads));
    moveColumns(machine, slots);
    kernels.compact(heads.kvHeads, firstRow, memory.addressOf(u32Of(keep)), keep.shape[1] ?? 0);
  };
}
