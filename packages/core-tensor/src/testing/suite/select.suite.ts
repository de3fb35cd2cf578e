import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { SelectSlots, StoredColumn } from "../../backend";
import { BoolOp, boolWord, type BoolProgram } from "../../bool-program";
import { add, column, constant, mul, neg, randomScore, randomUnit, type Expr } from "../../expr";
import type { RankTest, SelectProgram } from "../../select-program";
import { at, randomIntegers } from "../fixture";
import { naiveOrder, naiveSelect, type NaiveSlot } from "../naive-select";
import { PagedFixture } from "../paged-fixture";
import { slotTableOf, type TableRow } from "../slot-table";
import type { SuiteContext } from "../suite-context";

const CAPACITY = 70;
const NOW = 90;
const SCORES: readonly Expr[] = [
  column("mass"),
  neg(column("age")),
  add(mul(column("mass"), constant(2)), column("position")),
  randomScore(7),
];

/** Few different values, so that ties are common, and now and then one that is not a number. */
const masses = fc.constantFrom(0, 0.25, 0.5, 0.5, 1, 2, NaN);

const tableRow: fc.Arbitrary<TableRow> = fc
  .uniqueArray(
    fc.record({ position: fc.integer({ min: 0, max: 80 }), flags: fc.integer({ min: 0, max: 7 }), mass: masses }),
    {
      selector: (slot) => slot.position,
      maxLength: 40,
    },
  )
  .map((slots) => {
    const sorted = [...slots].sort((a, b) => a.position - b.position);
    return {
      position: sorted.map((slot) => slot.position),
      flags: sorted.map((slot) => slot.flags),
      columns: { mass: sorted.map((slot) => slot.mass) },
    };
  });

/** A predicate of some words that may use rank tests below `ranks`. */
function predicate(ranks: number): fc.Arbitrary<BoolProgram> {
  const leaf: fc.Arbitrary<BoolProgram> = fc.oneof(
    fc.boolean().map((value) => [boolWord(BoolOp.constant, value ? 1 : 0)]),
    fc.integer({ min: 0, max: 7 }).map((mask) => [boolWord(BoolOp.hasClass, mask)]),
    fc.integer({ min: 0, max: 90 }).map((limit) => [boolWord(BoolOp.before, limit)]),
    fc.integer({ min: 1, max: 5 }).chain((n) => fc.nat(n - 1).map((rest) => [boolWord(BoolOp.every, n), rest])),
    fc.integer({ min: 0, max: 90 }).map((window) => [boolWord(BoolOp.near, window)]),
    ...(ranks === 0 ? [] : [fc.nat(ranks - 1).map((test) => [boolWord(BoolOp.rank, test)])]),
  );
  return fc.letrec<{ tree: BoolProgram }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      leaf,
      tie("tree").map((of) => [...of, boolWord(BoolOp.not)]),
      fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => [...a, ...b, boolWord(BoolOp.and)]),
      fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => [...a, ...b, boolWord(BoolOp.or)]),
    ),
  })).tree;
}

const scope = fc.constantFrom("head", "layer");

/** A program with up to three rank tests, each of which may compete within the ones before. */
const selectProgram: fc.Arbitrary<SelectProgram> = fc
  .nat(3)
  .chain((count) =>
    fc
      .tuple(
        ...Array.from({ length: count }, (_, number) =>
          fc.record<RankTest, "score" | "k" | "scope">(
            { score: fc.nat(SCORES.length - 1), k: fc.integer({ min: 0, max: 50 }), scope, within: predicate(number) },
            { requiredKeys: ["score", "k", "scope"] },
          ),
        ),
      )
      .chain((ranks) => predicate(count).map((keep) => ({ ranks, keep }))),
  );

/** What the scores are by hand. */
function scoresOf(row: TableRow, head: number, slot: number): number[] {
  const mass = at(at([row.columns.mass ?? []], 0), slot);
  const position = at(row.position, slot);
  return [mass, position - NOW, Math.fround(mass * 2 + position), Math.fround(randomUnit(7, 12 + head, position))];
}

function naiveSlots(rows: readonly TableRow[]): NaiveSlot[][] {
  return rows.map((row, head) =>
    row.position.map((position, slot) => ({
      head,
      position,
      distance: NOW - position,
      flags: at(row.flags, slot),
      scores: scoresOf(row, head, slot),
    })),
  );
}

/** Programs over slot tables, and the ranks that summaries sort columns by. */
export function selectSuite(context: SuiteContext): void {
  describe("select", () => {
    it("keeps what each head's program says, with ranks by score, then position, then head", async () => {
      const layers = fc.integer({ min: 1, max: 2 });
      const layer = fc.array(fc.tuple(tableRow, selectProgram), { minLength: 6, maxLength: 6 });
      await fc.assert(
        fc.asyncProperty(layers, fc.integer({ min: 1, max: 3 }), layer, async (layerCount, headsPerLayer, all) => {
          const { backend, fixture } = context;
          const heads = all.slice(0, layerCount * headsPerLayer);
          const keep = fixture.u32(
            [heads.length, Math.ceil(CAPACITY / 32)],
            new Array<number>(heads.length * 3).fill(0xffffffff),
          );
          const kept = fixture.u32([heads.length], new Array<number>(heads.length).fill(9));
          const programs = heads.map(([, program]) => program);
          const tableRows = heads.map(([row]) => row);
          backend.select({
            slots: slotTableOf(fixture, tableRows, CAPACITY, ["mass"]),
            headsPerLayer,
            programs,
            scores: SCORES,
            now: NOW,
            firstRow: 12,
            keep,
            kept,
          });
          // `random` differs by the head's number over all layers, and nothing else does.
          const slots = naiveSlots(tableRows);
          const expected = Array.from({ length: layerCount }, (_, l) => {
            const first = l * headsPerLayer;
            const mine = slots
              .slice(first, first + headsPerLayer)
              .map((row) => row.map((slot) => ({ ...slot, head: slot.head - first })));
            return naiveSelect(mine, programs.slice(first, first + headsPerLayer));
          }).flat();
          const bits = await fixture.read(keep);
          const found = expected.map((_, row) =>
            Array.from({ length: CAPACITY }, (__, c) => ((at(bits, row * 3 + (c >> 5)) >>> (c & 31)) & 1) === 1),
          );
          expect(found).toEqual(
            expected.map((row) => [...row, ...new Array<boolean>(CAPACITY - row.length).fill(false)]),
          );
          expect(await fixture.read(kept)).toEqual(expected.map((row) => row.filter(Boolean).length));
        }),
        { numRuns: 60 },
      );
    });

    it("keeps the same slots where they lie in pages", async () => {
      const slot = fc.record({
        gap: fc.integer({ min: 1, max: 3 }),
        mass: fc.constantFrom(0, 0.25, 0.5, 1),
        waiting: fc.constantFrom(0, 0.25, 0.5),
      });
      const head = fc.record({
        slots: fc.array(slot, { maxLength: 20 }),
        columns: fc.subarray<StoredColumn>(["position", "mass", "lastMass"]),
        program: selectProgram,
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(head, { minLength: 4, maxLength: 4 }),
          fc.boolean(),
          fc.integer({ min: 1, max: 1e6 }),
          async (heads, pending, seed) => {
            const { backend, fixture } = context;
            const flags = randomIntegers(seed, 100, 8);
            const rows = heads.map(({ slots, columns }) => {
              let position = -1;
              return slots.map(({ gap, mass, waiting }, s) => ({
                key: [0, 0],
                value: [0, 0],
                // Where none is stored, nothing was ever dropped.
                position: columns.includes("position") ? (position += gap) : s,
                columns: { mass, lastMass: waiting },
              }));
            });
            const cache = new PagedFixture(
              fixture,
              rows.map((slots, row) => ({ slots, columns: at(heads, row).columns })),
              { headDim: context.headDim, pageSlots: 8, capacity: CAPACITY, seed, pending },
            );
            const table = rows.map((slots, row): TableRow => {
              const { columns } = at(heads, row);
              const stored = columns.includes("mass");
              const waits = stored && pending && columns.includes("lastMass");
              return {
                position: slots.map(({ position }) => position),
                flags: slots.map(({ position }) => at(flags, position)),
                columns: {
                  mass: slots.map((one) => (stored ? one.columns.mass : 0) + (waits ? one.columns.lastMass : 0)),
                },
              };
            });
            const chosen = async (slots: SelectSlots): Promise<[number[], number[]]> => {
              const keep = fixture.u32([4, 3], new Array<number>(12).fill(0xffffffff));
              const kept = fixture.u32([4]);
              backend.select({
                slots,
                headsPerLayer: 2,
                programs: heads.map(({ program }) => program),
                scores: SCORES,
                now: NOW,
                firstRow: 12,
                keep,
                kept,
              });
              return [await fixture.read(keep), await fixture.read(kept)];
            };
            expect(await chosen(cache.slots(CAPACITY, 0, flags))).toEqual(
              await chosen(slotTableOf(fixture, table, CAPACITY, ["mass"])),
            );
          },
        ),
        { numRuns: 40 },
      );
    });

    it("names a column that a score reads and the table lacks", async () => {
      const { backend, fixture } = context;
      backend.select({
        slots: slotTableOf(fixture, [{ position: [0], flags: [0], columns: {} }], 4, []),
        headsPerLayer: 1,
        programs: [{ ranks: [{ score: 0, k: 1, scope: "head" }], keep: [boolWord(BoolOp.rank, 0)] }],
        scores: [column("novelty")],
        now: 1,
        firstRow: 0,
        keep: fixture.u32([1, 1]),
        kept: fixture.u32([1]),
      });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "range",
        message: expect.stringContaining("novelty") as unknown,
      });
    });
  });

  describe("summarise", () => {
    const scale = fc.record({
      score: fc.nat(SCORES.length - 1),
      edges: fc
        .uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 3 })
        .map((edges) => edges.sort((a, b) => a - b)),
      scope,
      within: fc.option(predicate(0), { nil: undefined }),
    });

    it("adds up masses by class, ranks and band, and counts columns", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(tableRow, { minLength: 1, maxLength: 3 }),
          fc.integer({ min: 1, max: 3 }),
          fc.integer({ min: 1, max: 3 }),
          fc.array(scale, { maxLength: 2 }),
          fc.boolean(),
          fc.integer({ min: 1, max: 1e6 }),
          async (tableRows, perGroup, bands, scales, shared, seed) => {
            const { backend, fixture } = context;
            const kvHeads = tableRows.length;
            const heads = { queryHeads: kvHeads * perGroup, kvHeads, headDim: 4 };
            const columns = 41;
            const classCount = 3;
            const classes = Array.from({ length: (shared ? 1 : kvHeads) * CAPACITY }, (_, i) =>
              Math.floor(randomUnit(seed, 0, i) * classCount),
            );
            const table = Array.from({ length: heads.queryHeads * columns * bands }, (_, i) =>
              Math.fround(randomUnit(seed, 1, i)),
            );
            const buckets = scales.reduce((product, { edges }) => product * (edges.length + 1), 1);
            const sums = fixture.f32(
              [heads.queryHeads, classCount, buckets, bands],
              new Array<number>(heads.queryHeads * classCount * buckets * bands).fill(3),
            );
            const counts = fixture.u32(
              [kvHeads, classCount, buckets],
              new Array<number>(kvHeads * classCount * buckets).fill(3),
            );
            backend.summarise({
              heads,
              table: fixture.f32([heads.queryHeads, columns, bands], table),
              slots: slotTableOf(fixture, tableRows, CAPACITY, ["mass"]),
              now: NOW,
              firstRow: 12,
              classes: fixture.u32([shared ? 1 : kvHeads, CAPACITY], classes),
              classCount,
              scales: scales.map(({ score, within, ...rest }) => ({
                ...rest,
                score: at(SCORES, score),
                ...(within === undefined ? {} : { within }),
              })),
              sums,
              counts,
            });

            const slots = naiveSlots(tableRows);
            const expectedSums = new Float64Array(heads.queryHeads * classCount * buckets * bands);
            const expectedCounts = new Array<number>(kvHeads * classCount * buckets).fill(0);
            slots.forEach((row, head) => {
              row.forEach((slot, c) => {
                const bucket = scales.reduce((number, { score, edges, scope: of, within }) => {
                  const holds = (program: BoolProgram, rival: NaiveSlot): boolean =>
                    at(at(naiveSelect([[{ ...rival, head: 0 }]], [{ ranks: [], keep: program }]), 0), 0);
                  const order = naiveOrder(
                    slots,
                    head,
                    { score, scope: of, ...(within === undefined ? {} : { within }) },
                    holds,
                  );
                  const rank = order.includes(slot) ? order.indexOf(slot) : Infinity;
                  return number * (edges.length + 1) + edges.filter((edge) => rank >= edge).length;
                }, 0);
                const cell = at(classes, (shared ? 0 : head * CAPACITY) + c) * buckets + bucket;
                expectedCounts[head * classCount * buckets + cell] =
                  at(expectedCounts, head * classCount * buckets + cell) + 1;
                for (let g = 0; g < perGroup; g++) {
                  const query = head * perGroup + g;
                  for (let band = 0; band < bands; band++) {
                    const to = (query * classCount * buckets + cell) * bands + band;
                    expectedSums[to] = at(expectedSums, to) + at(table, (query * columns + c) * bands + band);
                  }
                }
              });
            });
            expect(await fixture.read(counts)).toEqual(expectedCounts);
            expect(await fixture.read(sums)).toBeAllclose(expectedSums, context.tolerance);
          },
        ),
        { numRuns: 30 },
      );
    });
  });
}
