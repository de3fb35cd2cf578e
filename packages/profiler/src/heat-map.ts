import { inkOn, scaleColour, type Colour } from "./colour-scale";
import {
  formatBytes,
  formatShare,
  keptShare,
  policyCounts,
  policyNames,
  type HeadReport,
  type ProfileReport,
} from "./report";

/** How many colours a terminal shows. */
export type TerminalColours = "none" | "256" | "truecolour";

export interface HeatMapOptions {
  readonly colours: TerminalColours;
}

const ESCAPE = "\u001b[";
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/**
 * Layers × KV heads for a terminal: each cell shows the share of the prompt that the head keeps, on a colour, and the
 * letter of its policy; the legend below says what the letters mean.
 *
 * @returns lines without a trailing newline.
 */
export function heatMap(report: ProfileReport, { colours }: HeatMapOptions): string {
  const counts = policyCounts(report);
  const nameOf = policyNames(report);
  const letters = new Map(counts.map(({ policy }, i) => [policy, LETTERS[i % LETTERS.length] ?? "?"]));
  const heads = Math.max(0, ...report.layers.map((layer) => layer.heads.length));
  const margin = Math.max(5, `layer ${report.layers.length - 1}`.length);
  const title = `${"".padStart(margin)}  KV head`;
  const header = `${"".padStart(margin)} ${Array.from({ length: heads }, (_, h) => String(h).padStart(5).padEnd(7)).join("")}`;
  const rows = report.layers.map(({ heads: row }, layer) => {
    const cells = row.map((head) => cell(report, head, letters.get(nameOf(head.policy)) ?? "?", colours));
    return `${`layer ${layer}`.padStart(margin)} ${cells.join("")}`;
  });
  const legend = counts.map(({ policy, heads: n }) => {
    return `  ${letters.get(policy) ?? "?"}  ${policy}  (${n} ${n === 1 ? "head" : "heads"})`;
  });
  const { bytes, fullBytes } = report.kv;
  const summary = `  KV cache ${formatBytes(bytes)} of ${formatBytes(fullBytes)} (${formatShare(fullBytes === 0 ? null : bytes / fullBytes)})`;
  return [
    title,
    header,
    ...rows,
    "  share of the prompt kept, and the policy of each KV head:",
    ...legend,
    summary,
  ].join("\n");
}

function cell(report: ProfileReport, head: HeadReport, letter: string, colours: TerminalColours): string {
  const share = keptShare(report, head);
  const text = `${String(Math.round(100 * share)).padStart(3)}% ${letter} `;
  if (colours === "none") return text;
  const colour = scaleColour(share);
  return `${background(colour, colours)}${ink(inkOn(colour))}${text}${ESCAPE}0m`;
}

function background(colour: Colour, colours: "256" | "truecolour"): string {
  return colours === "truecolour" ? `${ESCAPE}48;2;${colour.join(";")}m` : `${ESCAPE}48;5;${nearestOf256(colour)}m`;
}

function ink(name: "black" | "white"): string {
  return `${ESCAPE}38;5;${name === "black" ? 16 : 231}m`;
}

/** The nearest colour of a 256-colour terminal's 6 × 6 × 6 cube. */
function nearestOf256(colour: Colour): number {
  const [r, g, b] = colour.map((channel) => Math.round((channel / 255) * 5));
  return 16 + 36 * (r ?? 0) + 6 * (g ?? 0) + (b ?? 0);
}
