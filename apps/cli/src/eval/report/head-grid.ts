import { cssColour, inkOn, scaleColour } from "@winnow/profiler";

import type { Shares } from "../shares";

const CELL = 34;
const LABEL = 26;

/** Layers × KV heads as cells coloured by their share, for a picture whose texts are 11 pixels high. */
export interface HeadGrid {
  readonly width: number;
  readonly height: number;
  /** From one layer to the next. */
  readonly rowHeight: number;
  readonly markup: string;
}

/**
 * @param most the share at which the colours end.
 */
export function headGrid(shares: Shares, most = 1): HeadGrid {
  const width = LABEL + (shares[0]?.length ?? 0) * CELL;
  const rows = shares.map((heads, l) => {
    const cells = heads.map((share, h) => {
      const colour = scaleColour(share / most);
      const [x, y] = [LABEL + h * CELL, l * CELL];
      return `<rect x="${x}" y="${y}" width="${CELL - 2}" height="${CELL - 2}" rx="3" fill="${cssColour(colour)}"/><text x="${x + CELL / 2 - 1}" y="${y + CELL / 2 + 3}" text-anchor="middle" style="fill:${inkOn(colour)}">${Math.round(100 * share)}</text>`;
    });
    return `<text class="tick" x="${LABEL - 8}" y="${l * CELL + CELL / 2 + 3}" text-anchor="end">${l}</text>${cells.join("")}`;
  });
  return { width, height: shares.length * CELL, rowHeight: CELL, markup: rows.join("") };
}
