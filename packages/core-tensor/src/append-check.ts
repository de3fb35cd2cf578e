import type { AppendSpec } from "./backend";
import { WinnowError } from "./errors";
import { expectShape } from "./shape";

/**
 * What every CPU engine checks of an `append` before it begins.
 *
 * @throws WinnowError `shape` or `range` when operands do not fit together or rows of scratch are not there.
 */
export function checkAppend({ heads, qkv, rotation, into }: AppendSpec): void {
  const { queryHeads, kvHeads, headDim } = heads;
  expectShape("append", "qkv", qkv.tensor.shape, [null, (queryHeads + 2 * kvHeads) * headDim]);
  expectShape("append", "rotation", rotation.tensor.shape, [null, headDim]);
  if (rotation.count !== qkv.count) {
    throw new WinnowError("shape", `append: angles of ${rotation.count} rows for ${qkv.count} rows of q, k and v`);
  }
  if (into.kind === "pages") {
    if (into.positions.count === qkv.count) return;
    throw new WinnowError("shape", `append: ${into.positions.count} positions for ${qkv.count} rows of q, k and v`);
  }
  const { scratch, at } = into;
  const capacity = scratch.k.shape[1] ?? 0;
  expectShape("append", "scratch keys", scratch.k.shape, [kvHeads, null, headDim]);
  expectShape("append", "scratch values", scratch.v.shape, [kvHeads, capacity, headDim]);
  if (at < 0 || at + qkv.count > capacity) {
    throw new WinnowError("range", `append: rows ${at} to ${at + qkv.count} lie outside the scratch's ${capacity}`);
  }
}
