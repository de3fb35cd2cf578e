import type { HeadShape } from "../backend";

/** Neighbouring rows of one KV head, all its query heads together: vector i is query head i mod perGroup of a row. */
export interface Tile {
  readonly heads: HeadShape;
  readonly head: number;
  /** First row, counted within the call. */
  readonly row: number;
  readonly rowCount: number;
  /** Columns that the first row sees, and how many more each further row does. */
  readonly visible: number;
  readonly growth: 0 | 1;
}

/** Columns that any row of a tile sees: how far apart the vectors' weights lie. */
export function columnsOf({ visible, growth, rowCount }: Tile): number {
  return visible + growth * (rowCount - 1);
}
