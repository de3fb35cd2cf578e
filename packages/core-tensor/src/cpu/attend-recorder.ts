import type { AttendRecord, HeadShape, RowRange } from "../backend";
import { WinnowError } from "../errors";
import { isPivotal } from "../pivotal";
import { f32Of, u32Of } from "./cpu-tensor";
import { columnsOf, type Tile } from "./attend-tile";
import type { PagedReader } from "./paged";

/** Adds the attention weights of one KV head, as they are computed, to the mass table and the columns that were asked for. */
export class AttendRecorder {
  readonly #positions: Uint32Array;
  readonly #columns: number;
  /** By column; made when a band is first asked for. */
  #columnPositions: Uint32Array | null = null;

  /**
   * @param kept slots of the head: the columns before those of the extend's rows.
   */
  constructor(
    private readonly record: AttendRecord,
    private readonly heads: HeadShape,
    private readonly head: number,
    private readonly kept: number,
    private readonly paged: PagedReader | null,
  ) {
    this.#positions = u32Of(record.positions);
    this.#columns = kept + record.columnRows;
    for (const { into } of [...record.tables, ...record.columns]) {
      if ((into.shape[1] ?? 0) < this.#columns) {
        throw new WinnowError(
          "shape",
          `attend: "${into.label}" has ${into.shape[1] ?? 0} columns, and ${this.#columns} are recorded`,
        );
      }
    }
  }

  /** @param weights [vectors, columns] of a tile that was just attended */
  add(weights: Float64Array, tile: Tile): void {
    const perGroup = this.heads.queryHeads / this.heads.kvHeads;
    const stride = columnsOf(tile);
    for (let i = 0; i < tile.rowCount; i++) {
      const number = this.record.firstRow + tile.row + i;
      const columns = Math.min(this.#columns, tile.visible + tile.growth * i);
      for (let g = 0; g < perGroup; g++) {
        const start = (i * perGroup + g) * stride;
        for (const table of this.record.tables) {
          if (inRanges(table.rows, number))
            this.#addToTable(table, weights, start, columns, number, this.head * perGroup + g);
        }
        this.#addToColumns(weights, start, columns, number);
      }
    }
  }

  #addToTable(
    table: AttendRecord["tables"][number],
    weights: Float64Array,
    start: number,
    columns: number,
    row: number,
    queryHead: number,
  ): void {
    const into = f32Of(table.into);
    const bands = table.bands.length + 1;
    const base = queryHead * (table.into.shape[1] ?? 0) * bands;
    if (bands === 1) {
      for (let c = 0; c < columns; c++) into[base + c] = (into[base + c] ?? 0) + (weights[start + c] ?? 0);
      return;
    }
    const windows = table.bands;
    const position = this.#positions[row] ?? 0;
    const positions = (this.#columnPositions ??= this.#positionsOfColumns());
    let band = windows.length;
    for (let c = 0; c < columns; c++) {
      // Neighbouring columns are mostly of one band, and each position is mostly greater than the last.
      const distance = position - (positions[c] ?? 0);
      while (band > 0 && distance < (windows[band - 1] ?? 0)) band--;
      while (band < windows.length && distance >= (windows[band] ?? 0)) band++;
      const at = base + c * bands + band;
      into[at] = (into[at] ?? 0) + (weights[start + c] ?? 0);
    }
  }

  #addToColumns(weights: Float64Array, start: number, columns: number, row: number): void {
    for (const { reduce, into: tensor, rows } of this.record.columns) {
      if (!inRanges(rows, row)) continue;
      const into = f32Of(tensor);
      const base = this.head * (tensor.shape[1] ?? 0);
      if (reduce === "sum") {
        for (let c = 0; c < columns; c++) into[base + c] = (into[base + c] ?? 0) + (weights[start + c] ?? 0);
      } else if (reduce === "count") {
        const position = this.#positions[row] ?? 0;
        for (let c = 0; c < columns; c++) {
          if (isPivotal(weights[start + c] ?? 0, position)) into[base + c] = (into[base + c] ?? 0) + 1;
        }
      } else {
        for (let c = 0; c < columns; c++) {
          const weight = weights[start + c] ?? 0;
          if (weight > (into[base + c] ?? 0)) into[base + c] = weight;
        }
      }
    }
  }

  #positionsOfColumns(): Uint32Array {
    return Uint32Array.from({ length: this.#columns }, (_, column) =>
      column < this.kept
        ? (this.paged?.position(this.head, column) ?? column)
        : (this.#positions[column - this.kept] ?? 0),
    );
  }
}

/** Whether a row is one of those. */
export function inRanges(ranges: readonly RowRange[], row: number): boolean {
  return ranges.some(({ start, end, stride }) => row >= start && row < end && (row - start) % stride === 0);
}
