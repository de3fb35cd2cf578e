import type { AppendSpec } from "@winnow/core-tensor";
import { OPERATIONS, checkAppend, f32Of, f32Rows, u32Rows, type Poll } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";

/** Rotate queries in place; rotate keys and put them with the values where they belong. */
export function appendOf({ kernels, memory, pages }: Machine): (spec: AppendSpec, poll: Poll) => void {
  return (spec, poll) => {
    checkAppend(spec);
    const { heads, qkv, rotation, into } = spec;
    const { queryHeads, kvHeads, headDim } = heads;
    const q = memory.addressOf(f32Rows("append", "qkv", qkv));
    const angles = memory.addressOf(f32Rows("append", "rotation", rotation));
    if (into.kind === "scratch") {
      const { scratch, at } = into;
      const [k, v] = [memory.addressOf(f32Of(scratch.k)), memory.addressOf(f32Of(scratch.v))];
      const capacity = scratch.k.shape[1] ?? 0;
      kernels.append(queryHeads, kvHeads, headDim, q, angles, qkv.count, k, v, capacity, at, 0);
      return;
    }
    const positions = memory.addressOf(u32Rows("append", "positions", into.positions));
    if (pages.use(into.paged, heads, qkv.count) !== "f32") {
      OPERATIONS.append(spec, poll);
      return;
    }
    kernels.append(queryHeads, kvHeads, headDim, q, angles, qkv.count, 0, 0, 0, 0, positions);
  };
}
