import {
  createCpuBackend,
  numberToBf16,
  numberToF16,
  rows,
  tensor,
  type Backend,
  type HeadShape,
  type StoredColumn,
} from "@winnow/core-tensor";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { at, Fixture, randoms } from "../../core-tensor/src/testing/fixture";
import { PagedFixture, randomSlots, scratchOf } from "../../core-tensor/src/testing/paged-fixture";
import { keepBits, slotTableOf } from "../../core-tensor/src/testing/slot-table";
import { createSimdBackend } from "./node";

const options = { label: "test", category: "activations" } as const;
const heads: HeadShape = { queryHeads: 2, kvHeads: 1, headDim: 4 };
const WIDTH = (heads.queryHeads + 2 * heads.kvHeads) * heads.headDim;

const BACKENDS: readonly (readonly [string, () => Promise<Backend>])[] = [
  ["the reference", () => Promise.resolve(createCpuBackend())],
  ["simd", () => createSimdBackend({ threads: 3 })],
];

/** What the CPU's backends are given once by mistake, and what numbers may be at their worst: both answer alike. */
describe.each(BACKENDS)("%s", (_, create) => {
  let backend: Backend;
  let fixture: Fixture;
  beforeEach(async () => {
    backend = await create();
    fixture = new Fixture(backend);
  });
  afterEach(() => {
    backend[Symbol.dispose]();
  });

  /** Five slots and three rows of scratch of one head. */
  function scene(columns: readonly StoredColumn[] = []) {
    const cache = new PagedFixture(fixture, [{ slots: randomSlots(1, 5, 4), columns }], {
      headDim: 4,
      pageSlots: 8,
      capacity: 16,
      seed: 2,
    });
    return { cache, scratch: scratchOf(fixture, [randomSlots(3, 3, 4)], 4, 3) };
  }

  function attention(values: ArrayLike<number> = randoms(5, WIDTH)) {
    return {
      heads,
      scale: 0.5,
      qkv: rows(fixture.f32([1, WIDTH], values)),
      out: rows(fixture.f32([1, heads.queryHeads * heads.headDim])),
    };
  }

  it("refuses to gather more rows than the table has columns, or than there are bits", async () => {
    const { cache, scratch } = scene();
    const table = (count: number) =>
      slotTableOf(fixture, [{ position: Array.from({ length: count }, () => 0), flags: [], columns: {} }], 16, []);
    const gather = { heads, scratch, start: 0, count: 3, paged: cache.kv, firstRow: 0 };
    const keep = keepBits(fixture, [[true]], 16);
    backend.gather({ ...gather, slots: table(2), keep });
    await expect(backend.flush()).rejects.toThrow(/row 0 of the table has 2 columns, expected from 3/);
    backend.gather({ ...gather, slots: table(8), keep, firstRow: 1 });
    await expect(backend.flush()).rejects.toThrow(/gather: "words" has 1 rows of 32 bits/);
    backend.gather({ ...gather, start: 1, slots: table(8), keep });
    await expect(backend.flush()).rejects.toThrow(/rows 1 to 4 lie outside the scratch's 3/);
    backend.compact({ heads, paged: cache.kv, slots: table(5), keep, firstRow: 1 });
    await expect(backend.flush()).rejects.toThrow(/compact: "words" has 1 rows/);
    expect(at(await cache.read(), 0).slots).toHaveLength(5);
  });

  it("refuses a weight of whole numbers", async () => {
    const out = fixture.f32([1, 3]);
    backend.matmul({ x: rows(fixture.f32([1, 4])), weight: fixture.u32([3, 4]), out: rows(out) });
    await expect(backend.flush()).rejects.toMatchObject({ code: "dtype" });
  });

  it("multiplies rows that halves cannot hold: a number that is none, beside one of a million", async () => {
    const x = fixture.f32([2, 4], [NaN, 1e6, 1, 1, 1e6, 1, 1, 1]);
    const ones = tensor("f16", [1, 4], new Uint16Array(4).fill(numberToF16(1)));
    const out = fixture.f32([2, 1]);
    backend.matmul({ x: rows(x), weight: backend.upload(ones, options), out: rows(out) });
    expect(await fixture.read(out)).toEqual([NaN, 1_000_003]);
  });

  it("takes norm weights of halves in as many dimensions as they come in", async () => {
    const x = fixture.f32([1, 2], [3, 4]);
    const weight = tensor("bf16", [1, 2], Uint16Array.of(numberToBf16(1), numberToBf16(2)));
    const out = fixture.f32([1, 2]);
    backend.rmsNorm({ x: rows(x), weight: backend.upload(weight, options), epsilon: 0, out: rows(out) });
    const found = await fixture.read(out);
    const root = Math.sqrt(12.5);
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(at([3 / root, 8 / root], i), 5);
    });
  });

  it("sees all positions through the widest window there is", async () => {
    const { scratch, cache } = scene();
    const [all, windowed] = [attention(), attention()];
    const group = { start: 0, count: 1, paged: { kv: cache.kv, appended: 0 }, own: { scratch, start: 0 } };
    backend.attend({ ...all, groups: [group] });
    backend.attend({ ...windowed, window: Number.MAX_SAFE_INTEGER, groups: [{ ...group, position: 5 }] });
    expect(await fixture.read(windowed.out.tensor)).toEqual(await fixture.read(all.out.tensor));
  });

  it("stores a greatest weight that is no number as none", async () => {
    const { cache } = scene(["maxWeight"]);
    const qkv = randoms(5, WIDTH);
    qkv[0] = NaN;
    const group = { start: 0, count: 1, paged: { kv: cache.kv, appended: 0 } };
    // The newest row's weights are added when the next one comes.
    for (let row = 0; row < 2; row++) {
      const kv = { ...cache.kv, pending: row > 0 };
      backend.attend({ ...attention(qkv), accumulate: true, groups: [{ ...group, paged: { kv, appended: 0 } }] });
    }
    for (const { columns } of at(await cache.read(), 0).slots) expect(columns).toEqual({ maxWeight: NaN });
  });

  it("refuses bands of rows whose positions it is not given", async () => {
    const { scratch } = scene();
    const tables = [{ into: fixture.f32([2, 3, 2]), bands: [4], rows: [{ start: 0, end: 3, stride: 1 }] }];
    backend.attend({
      ...attention(),
      groups: [{ start: 0, count: 1, own: { scratch, start: 0 } }],
      record: { firstRow: 2, positions: fixture.u32([2]), columnRows: 3, tables, columns: [] },
    });
    await expect(backend.flush()).rejects.toThrow(/bands ask for the positions of rows 2 to 3, and "words" has 2/);
  });
});

describe("simd", () => {
  it("refuses a tensor of another backend before a kernel reads it", async () => {
    using backend = await createSimdBackend({ threads: 1 });
    using other = createCpuBackend();
    const [fixture, foreign] = [new Fixture(backend), new Fixture(other)];
    const out = fixture.f32([1, 3], [7, 7, 7]);
    backend.matmul({ x: rows(foreign.f32([1, 4])), weight: fixture.f32([3, 4]), out: rows(out) });
    await expect(backend.flush()).rejects.toThrow(/another backend; upload it to this one/);
    expect(await fixture.read(out)).toEqual([7, 7, 7]);
  });
});
