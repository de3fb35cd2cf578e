import type { DeviceTensor, HeadShape, PagedKv } from "@winnow/core-tensor";

import { scratch, whole, type ScratchBinding } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import { tensorOperand } from "../../dispatch/operands";
import { LIST_HEADER, LIST_KEPT_PARAMS, listKeptKernel } from "./list-kept.wgsl";

/** What of a layer's heads is moved: what `compact` and `gather` have in common. */
export interface SlotMove {
  readonly heads: HeadShape;
  readonly paged: PagedKv;
  readonly keep: DeviceTensor;
  /** Row of the selection for the layer's first head. */
  readonly firstRow: number;
}

/** Lists of kept columns, in the device's memory. */
export interface KeptLists {
  readonly binding: ScratchBinding;
  /** Columns that a head's list has room for. */
  readonly room: number;
}

/** @param room columns considered: for kept slots, no fewer than a head has; for fresh ones their number. */
export function keptLists({ kvHeads }: HeadShape, room: number): KeptLists {
  return { binding: scratch("move.lists", kvHeads * (LIST_HEADER + room) * 4), room };
}

/**
 * List what the heads keep, and set their lengths.
 *
 * @param counts of a table whose rows end with the fresh columns that are listed; without one, kept slots are.
 */
export function listKept(move: SlotMove, { binding, room }: KeptLists, counts?: DeviceTensor): Dispatch {
  const { heads, paged, keep, firstRow } = move;
  return {
    kernel: listKeptKernel({ columns: counts === undefined ? "kept" : "fresh" }),
    params: LIST_KEPT_PARAMS.pack({ words: keep.shape[1] ?? 0, first_row: firstRow, room }),
    bindings: {
      keep: whole(tensorOperand("keep", keep, ["u32"])),
      lengths: whole(tensorOperand("lengths", paged.lengths, ["u32"])),
      lists: binding,
      ...(counts === undefined ? {} : { counts: whole(tensorOperand("counts", counts, ["u32"])) }),
    },
    grid: [heads.kvHeads, 1, 1],
  };
}
