import { escapeMarkup } from "@winnow/profiler";

import { byPolicy } from "./eval-report";
import { limited } from "../limit";
import type { EvalResult } from "../results";

const WIDTH = 640;
const HEIGHT = 320;
const LEFT = 48;
const RIGHT = 168;
const TOP = 16;
const BOTTOM = 40;

/** Apart from each other for colour-blind eyes (Okabe and Ito); lines of one colour differ in their dashes. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b8b00"];
const DASHES = ["", "6 3", "2 3"];

/** How a policy is drawn in every plot. */
export function strokeOf(
  policies: readonly string[],
  policy: string,
): { readonly colour: string; readonly dash: string } {
  const place = Math.max(0, policies.indexOf(policy));
  return {
    colour: COLOURS[place % COLOURS.length] ?? "#666",
    dash: DASHES[Math.floor(place / COLOURS.length) % DASHES.length] ?? "",
  };
}

/** Score against the bytes that were kept, a line a policy, with 95 % intervals. */
export function taskPlot(task: string, results: readonly EvalResult[], policies: readonly string[]): string {
  const full = results.find(({ policy }) => policy === "full");
  const scores = results.map(({ score }) => score);
  const least = Math.min(...scores, 1);
  const floor = Math.max(0, Math.floor((least - 0.05) * 10) / 10);
  const x = (share: number): number => LEFT + share * (WIDTH - LEFT - RIGHT);
  const y = (score: number): number => TOP + (1 - (score - floor) / (1 - floor)) * (HEIGHT - TOP - BOTTOM);
  const grid = steps(floor).map(
    (score) =>
      `<line class="grid" x1="${x(0)}" x2="${x(1)}" y1="${y(score)}" y2="${y(score)}"/><text class="tick" text-anchor="end" x="${LEFT - 6}" y="${y(score) + 4}">${Math.round(100 * score)}</text>`,
  );
  const shares = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<text class="tick" text-anchor="middle" x="${x(share)}" y="${HEIGHT - BOTTOM + 18}">${100 * share} %</text>`,
  );
  const lines = [...byPolicy(results)]
    .filter(([policy]) => policy !== "full")
    .map(([policy, own]) => line(policy, own, strokeOf(policies, policy), x, y));
  const whole =
    full === undefined
      ? ""
      : `<line class="full" x1="${x(0)}" x2="${x(1)}" y1="${y(full.score)}" y2="${y(full.score)}"/><text class="tick" x="${x(1) + 6}" y="${y(full.score) + 4}">full cache ${(100 * full.score).toFixed(1)}</text>`;
  const summary = results.map((result) => `${limited(result.policy, result)}: ${(100 * result.score).toFixed(1)}`);
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeMarkup(`${task}: score by bytes kept. ${summary.join("; ")}`)}">
${grid.join("")}${shares.join("")}
<text class="tick" text-anchor="middle" x="${x(0.5)}" y="${HEIGHT - 6}">bytes kept, of the full cache's</text>
${whole}${lines.join("")}</svg>`;
}

function line(
  policy: string,
  own: readonly EvalResult[],
  { colour, dash }: ReturnType<typeof strokeOf>,
  x: (share: number) => number,
  y: (score: number) => number,
): string {
  const points = own
    .map((result) => ({ at: x(Math.min(1, result.bytes / result.fullBytes)), result }))
    .sort((a, b) => a.at - b.at);
  const path = points.map(({ at, result }) => `${at.toFixed(1)},${y(result.score).toFixed(1)}`).join(" ");
  const marks = points.map(({ at, result }) => {
    const label = `${policy}, ${(100 * (result.bytes / result.fullBytes)).toFixed(1)} % of the bytes: ${(100 * result.score).toFixed(1)} (${(100 * result.low).toFixed(1)} to ${(100 * result.high).toFixed(1)})`;
    return `<g><line stroke="${colour}" stroke-opacity=".35" x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${y(Math.max(0, result.low)).toFixed(1)}" y2="${y(Math.min(1, result.high)).toFixed(1)}"/><circle fill="${colour}" r="3" cx="${at.toFixed(1)}" cy="${y(result.score).toFixed(1)}"/><title>${escapeMarkup(label)}</title></g>`;
  });
  return `<polyline fill="none" stroke="${colour}" stroke-width="1.6" stroke-dasharray="${dash}" points="${path}"/>${marks.join("")}`;
}

function steps(floor: number): number[] {
  const step = floor < 0.5 ? 0.2 : 0.1;
  const found: number[] = [];
  for (let score = 1; score >= floor - 1e-9; score -= step) found.push(Number(score.toFixed(2)));
  return found;
}
