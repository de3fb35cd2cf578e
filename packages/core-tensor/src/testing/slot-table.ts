import type { SlotTable } from "../backend";
import type { Fixture } from "./fixture";

/** One row of a slot table as a test thinks of it. */
export interface TableRow {
  readonly position: readonly number[];
  readonly flags: readonly number[];
  readonly columns: Readonly<Record<string, readonly number[]>>;
}

/** A slot table with these rows, and rubbish behind each row's count. */
export function slotTableOf(
  fixture: Fixture,
  rows: readonly TableRow[],
  capacity: number,
  columns: readonly string[],
): SlotTable {
  const shape = [rows.length, capacity];
  const fill = (of: (row: TableRow) => readonly number[] | undefined): number[] =>
    rows.flatMap((row) => [...(of(row) ?? []), ...new Array<number>(capacity).fill(77)].slice(0, capacity));
  return {
    kind: "table",
    rowCount: rows.length,
    capacity,
    counts: fixture.u32(
      [rows.length],
      rows.map(({ position }) => position.length),
    ),
    position: fixture.u32(
      shape,
      fill(({ position }) => position),
    ),
    flags: fixture.u32(
      shape,
      fill(({ flags }) => flags),
    ),
    columns: Object.fromEntries(
      columns.map((name) => [
        name,
        fixture.f32(
          shape,
          fill((row) => row.columns[name]),
        ),
      ]),
    ),
  };
}

/** Kept columns as `select` writes them: bit c of a row's words. */
export function keepBits(fixture: Fixture, kept: readonly (readonly boolean[])[], capacity: number) {
  const words = Math.ceil(capacity / 32);
  const bits = new Uint32Array(kept.length * words);
  kept.forEach((columns, row) => {
    columns.forEach((keep, c) => {
      const word = row * words + (c >> 5);
      if (keep) bits[word] = (bits[word] ?? 0) | (1 << (c & 31));
    });
  });
  return fixture.u32([kept.length, words], bits);
}
