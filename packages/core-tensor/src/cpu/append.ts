import { checkAppend } from "../append-check";
import { STORED_COLUMNS, type AppendSpec } from "../backend";
import { f32Of, f32Rows, u32Rows } from "./cpu-tensor";
import { PagedReader } from "./paged";

/** Rotate queries in place; rotate keys and put them with the values where they belong. */
export function append(spec: AppendSpec): void {
  checkAppend(spec);
  const { heads, qkv, rotation, into } = spec;
  const { queryHeads, kvHeads, headDim } = heads;
  const width = (queryHeads + 2 * kvHeads) * headDim;
  const source = f32Rows("append", "qkv", qkv);
  const angles = f32Rows("append", "rotation", rotation);
  const rotated = new Float32Array(headDim);
  const target = into.kind === "scratch" ? scratchTarget(into, headDim) : pageTarget(into, headDim);
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

function scratchTarget({ scratch, at }: Extract<AppendSpec["into"], { kind: "scratch" }>, headDim: number): Target {
  const k = f32Of(scratch.k);
  const v = f32Of(scratch.v);
  const capacity = scratch.k.shape[1] ?? 0;
  return (row, head, key, values, vAt) => {
    const start = (head * capacity + at + row) * headDim;
    k.set(key, start);
    v.set(values.subarray(vAt, vAt + headDim), start);
  };
}

function pageTarget({ paged, positions }: Extract<AppendSpec["into"], { kind: "pages" }>, headDim: number): Target {
  const reader = new PagedReader(paged, headDim);
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
