import { cssColour, inkOn, scaleColour } from "./colour-scale";
import { escapeMarkup } from "./markup";
import { formatBytes, formatShare, keptShare, policyCounts, policyNames, type ProfileReport } from "./report";

const CELL = { width: 54, height: 34, gap: 2 };
const LEFT = 64;
const TOP = 74;
const LINE = 18;
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/**
 * Layers × KV heads as an SVG picture that stands alone: a cell's colour is the share of the prompt that the head keeps,
 * its letter the policy, and its title the details.
 */
export function heatMapSvg(report: ProfileReport): string {
  const counts = policyCounts(report);
  const nameOf = policyNames(report);
  const letterOf = new Map(counts.map(({ policy }, i) => [policy, LETTERS[i % LETTERS.length] ?? "?"]));
  const heads = Math.max(1, ...report.layers.map((layer) => layer.heads.length));
  const right = LEFT + heads * (CELL.width + CELL.gap);
  const bottom = TOP + report.layers.length * (CELL.height + CELL.gap);
  const longest = Math.max(0, ...counts.map(({ policy }) => policy.length + 16));
  const width = Math.max(right + 16, LEFT + 320, 24 + longest * 7);
  const height = bottom + 62 + counts.length * LINE;
  const cells = report.layers.flatMap(({ heads: row }, l) =>
    row.map((head, h) => {
      const share = keptShare(report, head);
      const colour = scaleColour(share);
      const x = LEFT + h * (CELL.width + CELL.gap);
      const y = TOP + l * (CELL.height + CELL.gap);
      const details = `layer ${l}, KV head ${h}: ${head.policy}; keeps ${head.kept} of ${report.promptTokens} slots, recovery ${formatShare(head.recovery)}`;
      return [
        `<g><title>${escapeMarkup(details)}</title>`,
        `<rect x="${x}" y="${y}" width="${CELL.width}" height="${CELL.height}" rx="3" fill="${cssColour(colour)}"/>`,
        `<text x="${x + CELL.width / 2}" y="${y + CELL.height / 2 + 4}" text-anchor="middle" style="fill:${inkOn(colour)}">${Math.round(100 * share)} % ${letterOf.get(nameOf(head.policy)) ?? "?"}</text></g>`,
      ].join("");
    }),
  );
  const columnLabels = Array.from({ length: heads }, (_, h) => {
    const x = LEFT + h * (CELL.width + CELL.gap) + CELL.width / 2;
    return `<text class="quiet" x="${x}" y="${TOP - 8}" text-anchor="middle">${h}</text>`;
  });
  const rowLabels = report.layers.map((_, l) => {
    const y = TOP + l * (CELL.height + CELL.gap) + CELL.height / 2 + 4;
    return `<text class="quiet" x="${LEFT - 10}" y="${y}" text-anchor="end">layer ${l}</text>`;
  });
  const legend = counts.map(({ policy, heads: n }, i) => {
    const y = bottom + 52 + i * LINE;
    return `<text x="16" y="${y}">${letterOf.get(policy) ?? "?"}  ${escapeMarkup(policy)} <tspan class="quiet">(${n} ${n === 1 ? "head" : "heads"})</tspan></text>`;
  });
  const { bytes, fullBytes } = report.kv;
  const title = `${report.model}: ${report.policy}${report.recovery === null ? "" : ` at T = ${report.recovery}`}, ${report.promptTokens} tokens`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeMarkup(`Share of the prompt that each KV head keeps. ${title}`)}">
<style>
text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1b1f24 }
.quiet { fill: #57606a }
.title { font-weight: 600; font-size: 13px }
.page { fill: #ffffff }
@media (prefers-color-scheme: dark) { .page { fill: #0d1117 } text { fill: #e6edf3 } .quiet { fill: #9198a1 } }
</style>
<rect class="page" width="${width}" height="${height}"/>
<text class="title" x="16" y="24">${escapeMarkup(title)}</text>
<text class="quiet" x="${LEFT}" y="${TOP - 24}">KV head: share of the prompt kept, and policy</text>
${columnLabels.join("\n")}
${rowLabels.join("\n")}
${cells.join("\n")}
<text x="16" y="${bottom + 24}">KV cache ${formatBytes(bytes)} of ${formatBytes(fullBytes)} (${formatShare(fullBytes === 0 ? null : bytes / fullBytes)})</text>
${legend.join("\n")}
</svg>
`;
}
