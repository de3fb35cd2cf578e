import { escapeMarkup } from "@winnow/profiler";

import { limited } from "../limit";
import type { Retrieval } from "../retrieval";
import { headGrid, type HeadGrid } from "./head-grid";

const GAP = 28;
const TITLE = 44;
const COLUMNS = 4;
const HEADER = 76;
/** What the lines of the header need. */
const LEAST_WIDTH = 500;

/** Where answers are looked up, and what policies keep there, as one picture. */
export function retrievalSvg({ scores, kept, samples }: Retrieval, title: string): string {
  const most = Math.max(1e-9, ...scores.flat());
  const maps: readonly { readonly name: string; readonly grid: HeadGrid }[] = [
    { name: "attention on the answer", grid: headGrid(scores, most) },
    ...kept.map((one) => ({ name: limited(one.policy, one), grid: headGrid(one.answer) })),
  ];
  const cell = {
    width: Math.max(150, ...maps.map(({ grid }) => grid.width)) + GAP,
    height: Math.max(...maps.map(({ grid }) => grid.height)) + TITLE,
  };
  const columns = Math.min(COLUMNS, maps.length);
  const width = Math.max(LEAST_WIDTH, columns * cell.width + GAP);
  const height = HEADER + Math.ceil(maps.length / columns) * cell.height;
  const placed = maps.map(({ name, grid }, i) => {
    const x = GAP + (i % columns) * cell.width;
    const y = HEADER + Math.floor(i / columns) * cell.height;
    return `<g transform="translate(${x} ${y})"><text class="name" x="0" y="14">${escapeMarkup(name)}</text><g transform="translate(0 22)">${grid.markup}</g></g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeMarkup(`${title}: which heads look answers up, and the share of the answer that policies keep in each`)}">
<style>
text { font: 11px ui-sans-serif, system-ui, sans-serif; fill: #1b1f24 }
.tick, .quiet { fill: #57606a }
.name { font-weight: 600; font-size: 12px }
.page { fill: #ffffff }
@media (prefers-color-scheme: dark) { .page { fill: #0d1117 } text { fill: #e6edf3 } .tick, .quiet { fill: #9198a1 } }
</style>
<rect class="page" width="${width}" height="${height}"/>
<text class="name" x="${GAP}" y="22">${escapeMarkup(title)}</text>
<text class="quiet" x="${GAP}" y="40">In %, ${samples} answers; a row a layer, a column a KV head.</text>
<text class="quiet" x="${GAP}" y="56">The first map: of the attention of an answer's rows. The others: of the answer's slots, those kept.</text>
${placed.join("\n")}
</svg>
`;
}
