import * as fc from "fast-check";
import { expect, it } from "vitest";

import {
  NO_PAGE,
  QUANTISED_KV_FORMS,
  STORED_COLUMNS,
  kvRow,
  rows,
  type PagedKv,
  type QuantisedKvType,
} from "@winnow/core-tensor";

import { at, type Fixture } from "../../../core-tensor/src/testing/fixture";
import { slotTableOf, keepBits } from "../../../core-tensor/src/testing/slot-table";
import { describeOnDevices, randoms } from "../testing/on-gpu";

const PAGE_SLOTS = 8;

/** An empty cache of one KV head with room for 32 slots, in one slab or in several. */
function emptyCache(fixture: Fixture, kvType: QuantisedKvType, headDim: number, slabs: number): PagedKv {
  const pagesPerSlab = 4 / slabs;
  const { width } = kvRow(kvType, headDim);
  const shape = [pagesPerSlab, 2, PAGE_SLOTS, width];
  // What is left in pages must not show.
  const words = new Uint32Array(pagesPerSlab * 2 * PAGE_SLOTS * width).fill(0xdeadbeef);
  return {
    slabs: Array.from({ length: slabs }, () => fixture.u32(shape, words)),
    pagesPerSlab,
    pageSlots: PAGE_SLOTS,
    table: fixture.u32([1, 4], [2, 0, 3, 1]),
    lengths: fixture.u32([1], [0]),
    bounds: [32],
    columns: null,
    columnTable: rows(
      fixture.u32(
        [1, STORED_COLUMNS.length, 4],
        STORED_COLUMNS.flatMap(() => [NO_PAGE, 0, 0, 0]),
      ),
    ),
    pending: false,
  };
}

/** Elements that share a scale. */
interface Group {
  readonly whole: readonly number[];
  readonly scale: number;
}

/** The keys (or values) of the first slots, bit by bit. */
async function stored(
  fixture: Fixture,
  cache: PagedKv,
  kvType: QuantisedKvType,
  { part, headDim, slots }: { readonly part: 0 | 1; readonly headDim: number; readonly slots: number },
): Promise<(readonly Group[])[]> {
  const words = (await fixture.backend.downloadAll(cache.slabs.filter((slab) => slab !== null))).flatMap((slab) => [
    ...slab,
  ]);
  const { width } = kvRow(kvType, headDim);
  const { bits } = QUANTISED_KV_FORMS[kvType];
  const size = groupOf(kvType, headDim);
  return Array.from({ length: slots }, (_, slot) => {
    const page = at([2, 0, 3, 1], Math.floor(slot / PAGE_SLOTS));
    const row = ((page * 2 + part) * PAGE_SLOTS + (slot % PAGE_SLOTS)) * width;
    const view = new DataView(Uint32Array.from(words.slice(row, row + width)).buffer);
    const wholeAt = (element: number): number =>
      bits === 8 ? view.getInt8(element) : (view.getUint8(element >> 1) << (element % 2 === 0 ? 28 : 24)) >> 28;
    return Array.from({ length: headDim / size }, (__, g) => ({
      whole: Array.from({ length: size }, (___, i) => wholeAt(g * size + i)),
      scale: view.getFloat32((headDim * bits) / 8 + 4 * g, true),
    }));
  });
}

const groupOf = (kvType: QuantisedKvType, headDim: number): number => QUANTISED_KV_FORMS[kvType].group ?? headDim;

/** The scale in plain numbers: the greatest by the greatest whole number, to 17 significant bits. */
function scaleOf(vector: readonly number[], most: number): number {
  const share = Math.fround(Math.max(...vector.map(Math.abs)) * Math.fround(1 / most));
  if (share < 2 ** -127) return 0;
  const step = 2 ** (Math.floor(Math.log2(share)) - 16);
  const scale = Math.floor(share / step + 0.5) * step;
  return scale < 2 ** -126 ? 0 : scale;
}

function expectQuantised(
  kvType: QuantisedKvType,
  found: readonly (readonly Group[])[],
  vectors: readonly (readonly number[])[],
): void {
  const { most } = QUANTISED_KV_FORMS[kvType];
  found.forEach((groups, slot) => {
    groups.forEach(({ whole, scale }, g) => {
      const vector = at(vectors, slot).slice(g * whole.length, (g + 1) * whole.length);
      expect(scale).toBe(scaleOf(vector, most));
      whole.forEach((number, i) => {
        if (scale === 0) {
          expect(number).toBe(0);
          return;
        }
        const share = at(vector, i) / scale;
        expect(Math.abs(number)).toBeLessThanOrEqual(most);
        // The nearest; a device divides with an error of a few units in the last place, so near a tie it is either.
        expect(Math.abs(share - number)).toBeLessThanOrEqual(0.5 + 1e-4);
      });
    });
  });
}

/** Both halves of a cache's first slots. */
async function expectStored(
  fixture: Fixture,
  cache: PagedKv,
  { kvType, headDim }: { readonly kvType: QuantisedKvType; readonly headDim: number },
  slots: readonly { readonly key: readonly number[]; readonly value: readonly number[] }[],
): Promise<void> {
  const of = { headDim, slots: slots.length };
  const keys = slots.map(({ key }) => key);
  const values = slots.map(({ value }) => value);
  expectQuantised(kvType, await stored(fixture, cache, kvType, { part: 0, ...of }), keys);
  expectQuantised(kvType, await stored(fixture, cache, kvType, { part: 1, ...of }), values);
}

const kinds = ["random", "zeros", "extremes", "one", "tiny", "subnormal", "large"] as const;

function vectorOf(kind: (typeof kinds)[number], headDim: number, seed: number): number[] {
  const numbers = Array.from(randoms(seed, headDim));
  switch (kind) {
    case "random":
      return numbers;
    case "zeros":
      return numbers.map(() => 0);
    case "extremes":
      return numbers.map((value) => Math.sign(value) * 1.7);
    case "one":
      return numbers.map((value, i) => (i === seed % headDim ? value : 0));
    case "tiny":
      return numbers.map((value) => Math.fround(value * 2 ** -100));
    case "subnormal":
      return numbers.map((value) => Math.fround(value * 2 ** -130));
    case "large":
      return numbers.map((value) => Math.fround(value * 3e38));
  }
}

// Halves of 2, 4, 10 and 32: of twos and of fours. Those of q4 are of one group, and of two.
const kvTypes = fc.oneof(
  fc.record({ kvType: fc.constant("q8" as const), headDim: fc.constantFrom(4, 8, 20, 64) }),
  fc.record({ kvType: fc.constant("q4" as const), headDim: fc.constantFrom(32, 64) }),
);

const cases = fc.record({
  form: kvTypes,
  slots: fc.array(fc.tuple(fc.constantFrom(...kinds), fc.constantFrom(...kinds)), { minLength: 1, maxLength: 19 }),
  slabs: fc.constantFrom(1, 2),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

function slotsOf({
  form: { headDim },
  slots,
  seed,
}: {
  form: { headDim: number };
  slots: readonly (readonly [Kind, Kind])[];
  seed: number;
}) {
  return slots.map(([key, value], s) => ({
    key: vectorOf(key, headDim, seed + 2 * s),
    value: vectorOf(value, headDim, seed + 2 * s + 1),
  }));
}

type Kind = (typeof kinds)[number];

describeOnDevices("quantised rows", (context) => {
  it("are what their elements and their greatest magnitude say, appended", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (made) => {
        const { backend, fixture } = context;
        const { kvType, headDim } = made.form;
        const slots = slotsOf(made);
        const cache = emptyCache(fixture, kvType, headDim, made.slabs);
        const count = slots.length;
        const unturned = Array.from({ length: count }, () =>
          Array.from({ length: headDim }, (_, i) => +(i < headDim / 2)),
        );
        const query = Array.from(randoms(made.seed, headDim));
        const qkv = fixture.f32(
          [count, 3 * headDim],
          slots.flatMap(({ key, value }) => [...query, ...key, ...value]),
        );
        backend.append({
          heads: { queryHeads: 1, kvHeads: 1, headDim },
          qkv: rows(qkv),
          rotation: rows(fixture.f32([count, headDim], unturned.flat())),
          into: { kind: "pages", paged: cache, positions: rows(fixture.u32([count])) },
        });
        expect(await fixture.read(cache.lengths)).toEqual([count]);
        await expectStored(fixture, cache, made.form, slots);
      }),
      { numRuns: 16 },
    );
  });

  it("are what their elements and their greatest magnitude say, gathered", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (made) => {
        const { backend, fixture } = context;
        const { kvType, headDim } = made.form;
        const slots = slotsOf(made);
        const cache = emptyCache(fixture, kvType, headDim, made.slabs);
        const count = slots.length;
        const kept = slots.map((_, i) => i % 3 !== 1);
        backend.gather({
          heads: { queryHeads: 1, kvHeads: 1, headDim },
          scratch: {
            k: fixture.f32(
              [1, count, headDim],
              slots.flatMap(({ key }) => key),
            ),
            v: fixture.f32(
              [1, count, headDim],
              slots.flatMap(({ value }) => value),
            ),
          },
          start: 0,
          count,
          paged: cache,
          slots: slotTableOf(
            fixture,
            [{ position: kept.map((_, i) => i), flags: kept.map(() => 0), columns: {} }],
            32,
            [],
          ),
          keep: keepBits(fixture, [kept], 32),
          firstRow: 0,
        });
        const left = slots.filter((_, i) => kept[i]);
        await expectStored(fixture, cache, made.form, left);
      }),
      { numRuns: 16 },
    );
  });

  it("in q8 have the bytes of known numbers, ties to even", async () => {
    const { backend, fixture } = context;
    const cache = emptyCache(fixture, "q8", 4, 1);
    const key = [-254, 2, 3, 5];
    const value = [0, 0.25, -127, 63.6];
    backend.append({
      heads: { queryHeads: 1, kvHeads: 1, headDim: 4 },
      qkv: rows(fixture.f32([1, 12], [0, 0, 0, 0, ...key, ...value])),
      rotation: rows(fixture.f32([1, 4], [1, 1, 0, 0])),
      into: { kind: "pages", paged: cache, positions: rows(fixture.u32([1])) },
    });
    const of = { headDim: 4, slots: 1 };
    expect(await stored(fixture, cache, "q8", { part: 0, ...of })).toEqual([[{ whole: [-127, 1, 2, 2], scale: 2 }]]);
    expect(await stored(fixture, cache, "q8", { part: 1, ...of })).toEqual([[{ whole: [0, 0, -127, 64], scale: 1 }]]);
  });

  it("have a scale that is not finite where an element is not", async () => {
    const { backend, fixture } = context;
    const cache = emptyCache(fixture, "q8", 4, 1);
    backend.append({
      heads: { queryHeads: 1, kvHeads: 1, headDim: 4 },
      qkv: rows(fixture.f32([1, 12], [0, 0, 0, 0, 1, NaN, 2, 3, 1, 2, -Infinity, 3])),
      rotation: rows(fixture.f32([1, 4], [1, 1, 0, 0])),
      into: { kind: "pages", paged: cache, positions: rows(fixture.u32([1])) },
    });
    const scales = async (part: 0 | 1): Promise<number[]> =>
      (await stored(fixture, cache, "q8", { part, headDim: 4, slots: 1 })).flat().map(({ scale }) => scale);
    expect(await scales(0)).toEqual([NaN]);
    expect(await scales(1)).toEqual([Infinity]);
  });
});
