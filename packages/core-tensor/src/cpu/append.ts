import { STORED_COLUMNS, type AppendSpec, type HeadShape } from "../backend";
import { WinnowError } from "../errors";
import { f32Of, f32Rows, u32Rows } from "./cpu-tensor";
import { expectShape } from "../shape";
import { PagedReader } from "./paged";

/** Rotate queries in place; rotate keys and put them with the values where they belong. */
export function append({ heads, qkv, rotation, into }: AppendSpec): void {
  const { queryHeads, kvHeads, headDim } = heads;
  const width = (queryHeads + 2 * kvHeads) * headDim;
  expectShape("append", "qkv", qkv.tensor.shape, [null, width]);
  expectShape("append", "rotation", rotation.tensor.shape, [null, headDim]);
  if (rotation.count !== qkv.count) {
    throw new WinnowError("shape", `append: angles of ${rotation.count} rows for ${qkv.count} rows of q, k and v`);
  }
  const source = f32Rows("append", "qkv", qkv);
  const angles = f32Rows("append", "rotation", rotation);
  const rotated = new Float32Array(headDim);
  const target = into.kind === "scratch" ? scratchTarget(into, heads, qkv.count) : pageTarget(into, headDim, qkv.count);
  for (let row = 0; row < qkv.count; row++) {
    const cosines = row * headDim;
    for (let head = 0; head < queryHeads; head++) {
      const start = row * width + head * headDim;
      rotate(source, start, angles, cosines, headDim, source, start);
    }
    for (let head = 0; head < kvHeads; head++) {
      const key = row * width + (queryHeads + head) * headDim;
      const value = key + kvHeads * headDim;
      rotate(source, key, angles, cosines, headDim, rotated, 0);
      target(row, head, rotated, source, value);
    }
  }
  if (into.kind === "pages") {
    const lengths = new PagedReader(into.paged, headDim).lengths;
    for (let head = 0; head < kvHeads; head++) lengths[head] = (lengths[head] ?? 0) + qkv.count;
  }
}

/** Put a row's key, and its value from an element on, where they belong. */
type Target = (row: number, head: number, key: Float32Array, values: Float32Array, vAt: number) => void;

function scratchTarget(
  { scratch, at }: Extract<AppendSpec["into"], { kind: "scratch" }>,
  { kvHeads, headDim }: HeadShape,
  count: number,
): Target {
  const k = f32Of(scratch.k);
  const v = f32Of(scratch.v);
  const capacity = scratch.k.shape[1] ?? 0;
  expectShape("append", "scratch keys", scratch.k.shape, [kvHeads, null, headDim]);
  expectShape("append", "scratch values", scratch.v.shape, [kvHeads, capacity, headDim]);
  if (at < 0 || at + count > capacity) {
    throw new WinnowError("range", `append: rows ${at} to ${at + count} lie outside the scratch's ${capacity}`);
  }
  return (row, head, key, values, vAt) => {
    const start = (head * capacity + at + row) * headDim;
    k.set(key, start);
    v.set(values.subarray(vAt, vAt + headDim), start);
  };
}

function pageTarget(
  { paged, positions }: Extract<AppendSpec["into"], { kind: "pages" }>,
  headDim: number,
  count: number,
): Target {
  const reader = new PagedReader(paged, headDim);
  if (positions.count !== count) {
    throw new WinnowError("shape", `append: ${positions.count} positions for ${count} rows of q, k and v`);
  }
  const newPositions = u32Rows("append", "positions", positions);
  return (row, head, key, values, vAt) => {
    const slot = (reader.lengths[head] ?? 0) + row;
    if (reader.hasColumn(head, "position")) reader.setPosition(head, slot, newPositions[row] ?? 0);
    for (const name of STORED_COLUMNS) {
      if (name === "position" || !reader.hasColumn(head, name)) continue;
      const { slab, at } = reader.column(head, name, slot);
      slab[at] = 0;
    }
    reader.put(head, slot, key, 0, values, vAt);
  };
}

/** Turn element i and element i + headDim/2 by the row's angle i. */
function rotate(
  from: Float32Array,
  start: number,
  angles: Float32Array,
  cosines: number,
  headDim: number,
  to: Float32Array,
  toStart: number,
): void {
  const half = headDim / 2;
  for (let i = 0; i < half; i++) {
    const cos = angles[cosines + i] ?? 0;
    const sin = angles[cosines + half + i] ?? 0;
    const a = from[start + i] ?? 0;
    const b = from[start + half + i] ?? 0;
    to[toStart + i] = a * cos - b * sin;
    to[toStart + half + i] = b * cos + a * sin;
  }
}
