import type { StatisticsSpec, StoredColumn } from "../backend";
import { STORED_COLUMNS } from "../backend";
import { WinnowError } from "../errors";
import { f32Of, u32Of } from "./cpu-tensor";
import type { Poll } from "./poll";
import { PagedReader } from "./paged";

/** Where a slot's key and value lie. */
interface SlotPlace {
  readonly keys: Float32Array;
  readonly k: number;
  readonly values: Float32Array;
  readonly v: number;
}

/** Fill rows of a slot table: a layer's kept slots, then scratch rows. Columns of other names are left alone. */
export function statistics(spec: StatisticsSpec, poll: Poll): void {
  const { heads, scratch, into } = spec;
  const { headDim } = heads;
  const paged = spec.paged === undefined ? null : new PagedReader(spec.paged, headDim);
  const flags = u32Of(spec.flags);
  const counts = u32Of(into.counts);
  const position = u32Of(into.position);
  const slotFlags = u32Of(into.flags);
  const fresh = scratch?.count ?? 0;
  const newPositions = spec.positions === undefined ? new Uint32Array(0) : u32Of(spec.positions);
  if (fresh > 0 && newPositions.length < (scratch?.start ?? 0) + fresh) {
    throw new WinnowError(
      "shape",
      `statistics: ${newPositions.length} positions, and scratch rows up to ${(scratch?.start ?? 0) + fresh}; give one a row`,
    );
  }
  if (spec.firstRow + heads.kvHeads > into.rowCount) {
    throw new WinnowError(
      "range",
      `statistics: ${heads.kvHeads} heads from row ${spec.firstRow} on do not fit in a table of ${into.rowCount} rows`,
    );
  }
  for (let head = 0; head < heads.kvHeads; head++) {
    poll();
    const kept = paged?.lengths[head] ?? 0;
    const count = kept + fresh;
    if (count > into.capacity) {
      throw new WinnowError(
        "shape",
        `statistics: head ${head} has ${count} slots, and the table holds ${into.capacity} a row`,
      );
    }
    for (const { name, from } of spec.recorded) {
      if ((from.shape[1] ?? 0) < count) {
        throw new WinnowError(
          "shape",
          `statistics: "${name}" was recorded for ${from.shape[1] ?? 0} columns, and head ${head} has ${count} slots`,
        );
      }
    }
    const row = spec.firstRow + head;
    const base = row * into.capacity;
    counts[row] = count;
    for (let slot = 0; slot < count; slot++) {
      const at =
        slot < kept ? (paged?.position(head, slot) ?? slot) : (newPositions[(scratch?.start ?? 0) + slot - kept] ?? 0);
      position[base + slot] = at;
      slotFlags[base + slot] = flags[at] ?? 0;
    }
    for (const name of STORED_COLUMNS) {
      const column = into.columns[name];
      if (column !== undefined) storedColumn(spec, paged, head, name, f32Of(column), base, kept, count);
    }
    const place = (slot: number): SlotPlace => {
      if (slot < kept && paged !== null) {
        const { slab, k, v } = paged.slot(head, slot);
        return { keys: slab, k, values: slab, v };
      }
      if (scratch === undefined) throw new WinnowError("range", `statistics: head ${head} has no slot ${slot}`);
      const at = (head * (scratch.kv.k.shape[1] ?? 0) + scratch.start + slot - kept) * headDim;
      return { keys: f32Of(scratch.kv.k), k: at, values: f32Of(scratch.kv.v), v: at };
    };
    const { keyNorm, valueNorm, keyDiff } = into.columns;
    if (keyNorm !== undefined) {
      const out = f32Of(keyNorm);
      for (let slot = 0; slot < count; slot++) {
        const { keys, k } = place(slot);
        out[base + slot] = norm(keys, k, headDim);
      }
    }
    if (valueNorm !== undefined) {
      const out = f32Of(valueNorm);
      for (let slot = 0; slot < count; slot++) {
        const { values, v } = place(slot);
        out[base + slot] = norm(values, v, headDim);
      }
    }
    if (keyDiff !== undefined) keyDifference(f32Of(keyDiff), base, count, headDim, place);
  }
}

/** What the head stores, and what the extend recorded, put together. */
function storedColumn(
  spec: StatisticsSpec,
  paged: PagedReader | null,
  head: number,
  name: StoredColumn,
  out: Float32Array,
  base: number,
  kept: number,
  count: number,
): void {
  const recorded = spec.recorded.find((record) => record.name === name);
  const fresh = recorded === undefined ? null : f32Of(recorded.from);
  const freshBase = head * (recorded?.from.shape[1] ?? 0);
  for (let slot = 0; slot < count; slot++) {
    const stored = slot < kept ? (paged?.stored(head, name, slot) ?? 0) : 0;
    const seen = fresh?.[freshBase + slot];
    if (seen === undefined) out[base + slot] = stored;
    else if (recorded?.reduce === "sum") out[base + slot] = stored + seen;
    else if (recorded?.reduce === "max") out[base + slot] = Math.max(stored, seen);
    else out[base + slot] = seen;
  }
}

function norm(data: Float32Array, start: number, headDim: number): number {
  let sum = 0;
  for (let d = 0; d < headDim; d++) sum += (data[start + d] ?? 0) ** 2;
  return Math.sqrt(sum);
}

/**
 * How little a key stands out: the cosine of the angle between it and the head's mean key (KeyDiff,
 * arXiv 2504.15364, section 3). Its policy keeps the least.
 */
function keyDifference(
  out: Float32Array,
  base: number,
  count: number,
  headDim: number,
  place: (slot: number) => SlotPlace,
): void {
  const mean = new Float32Array(headDim);
  for (let slot = 0; slot < count; slot++) {
    const { keys, k } = place(slot);
    for (let d = 0; d < headDim; d++) mean[d] = (mean[d] ?? 0) + (keys[k + d] ?? 0) / count;
  }
  const length = norm(mean, 0, headDim);
  for (let slot = 0; slot < count; slot++) {
    const { keys, k } = place(slot);
    let product = 0;
    for (let d = 0; d < headDim; d++) product += (keys[k + d] ?? 0) * (mean[d] ?? 0);
    const scale = norm(keys, k, headDim) * length;
    out[base + slot] = scale === 0 ? 0 : product / scale;
  }
}
