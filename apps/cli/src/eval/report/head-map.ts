import { cssColour, escapeMarkup, scaleColour } from "@winnow/profiler";

import type { Shares } from "../shares";
import { headGrid } from "./head-grid";

/** The layer's mean, beside its heads. */
const PROFILE = { width: 90, height: 14, left: 10, top: 9 };

/** What each KV head keeps, a row a layer, with the layer's mean as a bar beside it. */
export function headMap(name: string, shares: Shares): string {
  const grid = headGrid(shares);
  const bars = shares.map((heads, l) => {
    const average = heads.reduce((a, b) => a + b, 0) / Math.max(1, heads.length);
    return `<rect x="${grid.width + PROFILE.left}" y="${l * grid.rowHeight + PROFILE.top}" width="${(average * PROFILE.width).toFixed(1)}" height="${PROFILE.height}" rx="2" fill="${cssColour(scaleColour(0.7))}"><title>layer ${l}: ${Math.round(100 * average)} %</title></rect>`;
  });
  const width = grid.width + PROFILE.left + PROFILE.width;
  return `<figure><figcaption class="quiet">${escapeMarkup(name)}</figcaption><svg style="width:${width}px" viewBox="0 0 ${width} ${grid.height}" role="img" aria-label="${escapeMarkup(`share kept by layer and KV head, ${name}`)}">${grid.markup}${bars.join("")}</svg></figure>`;
}
