import { SHARE_NAMES } from "./attention-shares";
import { cssColour, inkOn, scaleColour } from "./colour-scale";
import { heatMapSvg } from "./heat-map-svg";
import { escapeMarkup } from "./markup";
import { formatBytes, formatShare, keptShare, type HeadReport, type ProfileReport } from "./report";

/** One hue a share, apart from each other for colour-blind eyes (Okabe and Ito); the rest is grey. */
const SHARE_COLOURS = {
  special: "#0072b2",
  punctuation: "#56b4e9",
  recent: "#e69f00",
  frequent: "#009e73",
  rest: "#9aa4ae",
} as const;

/** Everything that profiling found, as one page without any outside resource, for light and dark, screen and print. */
export function heatMapHtml(report: ProfileReport): string {
  const { bytes, fullBytes, peakBytes } = report.kv;
  const note = report.rows.note === null ? "" : ` <em>(${escapeMarkup(report.rows.note)})</em>`;
  const facts = [
    ["Policy", `${escapeMarkup(report.policy)}${report.recovery === null ? "" : `, T = ${report.recovery}`}`],
    ["Prompt", `${report.promptTokens} tokens`],
    ["Profiled rows", `${escapeMarkup(report.rows.source)}${note}`],
    ["KV cache, full", formatBytes(fullBytes)],
    ["KV cache, after the cut", `${formatBytes(bytes)} (${formatShare(fullBytes === 0 ? null : bytes / fullBytes)})`],
    ["Peak while reading", formatBytes(peakBytes)],
  ];
  const rows = report.layers.flatMap(({ heads }, layer) =>
    heads.map((head, number) => headRow(report, head, layer, number)),
  );
  const legend = SHARE_NAMES.map((name) => `<li><i style="background:${SHARE_COLOURS[name]}"></i>${name}</li>`).join(
    "",
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(`${report.model}: ${report.policy}`)}</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --page: #fff; --line: #d8dee4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9198a1; --page: #0d1117; --line: #30363d } }
body { font: 15px/1.5 ui-sans-serif, system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem } dt { color: var(--quiet) } dd { margin: 0 }
figure { margin: 1rem 0; overflow-x: auto } svg { max-width: 100%; height: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums } th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line) }
th { color: var(--quiet); font-weight: 500 } td.number { text-align: right } code { font: 13px ui-monospace, monospace }
.kept { display: inline-block; min-width: 3.2rem; padding: 0 .4rem; border-radius: 3px; text-align: right }
.bar { display: flex; height: 12px; width: 12rem; border-radius: 3px; overflow: hidden } .bar span { height: 100% }
ul.legend { display: flex; flex-wrap: wrap; gap: 1rem; list-style: none; padding: 0 } .legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: .4rem; vertical-align: -1px }
</style>
<h1>What each head of ${escapeMarkup(report.model)} keeps</h1>
<dl>${facts.map(([name, value]) => `<dt>${name ?? ""}</dt><dd>${value ?? ""}</dd>`).join("")}</dl>
<h2>Layers and KV heads</h2>
<figure>${heatMapSvg(report)}</figure>
<h2>Head by head</h2>
<ul class="legend" aria-label="Where attention goes">${legend}</ul>
<div style="overflow-x:auto"><table>
<thead><tr><th scope="col">Layer</th><th scope="col">KV head</th><th scope="col">Policy</th><th scope="col">Recovery</th><th scope="col">Slots kept</th><th scope="col">Share</th><th scope="col">Where attention goes</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody></table></div>
</html>
`;
}

function headRow(report: ProfileReport, head: HeadReport, layer: number, number: number): string {
  const share = keptShare(report, head);
  const colour = scaleColour(share);
  const tried = head.candidates
    .map(({ policy, recovery, kept }) => `${policy}: ${formatShare(recovery)}, ${kept ?? "–"} slots`)
    .join("\n");
  return `<tr><td>${layer}</td><td>${number}</td><td><code title="${escapeMarkup(tried)}">${escapeMarkup(head.policy)}</code></td><td class="number">${formatShare(head.recovery)}</td><td class="number">${head.kept}</td><td><span class="kept" style="background:${cssColour(colour)};color:${inkOn(colour)}">${Math.round(100 * share)} %</span></td><td>${attentionBar(head)}</td></tr>`;
}

function attentionBar({ attention }: HeadReport): string {
  if (attention === null) return "not profiled";
  const text = SHARE_NAMES.map((name) => `${name} ${formatShare(attention[name])}`).join(", ");
  const parts = SHARE_NAMES.map(
    (name) => `<span style="width:${(100 * attention[name]).toFixed(2)}%;background:${SHARE_COLOURS[name]}"></span>`,
  );
  return `<div class="bar" role="img" aria-label="${text}" title="${text}">${parts.join("")}</div>`;
}
