import { cssColour, escapeMarkup, inkOn, scaleColour } from "@winnow/profiler";

import type { EvalResult } from "../results";

const CELL = 34;
const LABEL = 26;
/** The layer's mean, beside its heads. */
const PROFILE = 90;

/** What each KV head keeps, a row a layer, with the layer's mean as a bar beside it. */
export function headMap(name: string, results: readonly EvalResult[]): string {
  const [first] = results;
  const layers = first?.shares ?? [];
  const heads = layers[0]?.length ?? 0;
  const mean = (l: number, h: number): number =>
    results.reduce((sum, { shares }) => sum + (shares[l]?.[h] ?? 0), 0) / Math.max(1, results.length);
  const width = LABEL + heads * CELL + 12 + PROFILE;
  const height = layers.length * CELL;
  const rows = layers.map((ofLayer, l) => {
    const kept = ofLayer.map((_, h) => mean(l, h));
    const cells = kept.map((share, h) => {
      const colour = scaleColour(share);
      const [x, y] = [LABEL + h * CELL, l * CELL];
      return `<rect x="${x}" y="${y}" width="${CELL - 2}" height="${CELL - 2}" rx="3" fill="${cssColour(colour)}"/><text x="${x + CELL / 2 - 1}" y="${y + CELL / 2 + 3}" text-anchor="middle" fill="${inkOn(colour)}">${Math.round(100 * share)}</text>`;
    });
    const average = kept.reduce((a, b) => a + b, 0) / Math.max(1, kept.length);
    const bar = `<rect x="${LABEL + heads * CELL + 10}" y="${l * CELL + 9}" width="${(average * PROFILE).toFixed(1)}" height="${CELL - 20}" rx="2" fill="${cssColour(scaleColour(0.7))}"><title>layer ${l}: ${Math.round(100 * average)} %</title></rect>`;
    return `<text class="tick" x="${LABEL - 8}" y="${l * CELL + CELL / 2 + 3}" text-anchor="end">${l}</text>${cells.join("")}${bar}`;
  });
  return `<figure><figcaption class="quiet">${escapeMarkup(name)}</figcaption><svg style="width:${width}px" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeMarkup(`share kept by layer and KV head, ${name}`)}">${rows.join("")}</svg></figure>`;
}
