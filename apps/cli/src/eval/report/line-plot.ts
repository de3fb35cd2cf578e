import { escapeMarkup } from "@winnow/profiler";

import type { Stroke } from "./stroke";

const WIDTH = 640;
const HEIGHT = 320;
const LEFT = 48;
const RIGHT = 168;
const TOP = 16;
const BOTTOM = 40;

export interface Axis {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
}

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
  /** An interval around y. */
  readonly low: number;
  readonly high: number;
  /** What it says when it is pointed at. */
  readonly title: string;
}

export interface LinePlot {
  /** What the picture says, for those who do not see it. */
  readonly label: string;
  readonly x: Axis & { readonly title: string };
  readonly y: Axis;
  /** A level that lines are compared with. */
  readonly level: { readonly y: number; readonly label: string } | null;
  readonly lines: readonly { readonly stroke: Stroke; readonly points: readonly PlotPoint[] }[];
}

/** Lines with a mark and an interval at each point, as a picture of a page that has the classes `grid`, `tick` and `full`. */
export function linePlot({ label, x, y, level, lines }: LinePlot): string {
  const across = (value: number): number => LEFT + ((value - x.from) / (x.to - x.from)) * (WIDTH - LEFT - RIGHT);
  const up = (value: number): number => TOP + (1 - (value - y.from) / (y.to - y.from)) * (HEIGHT - TOP - BOTTOM);
  const grid = y.ticks.map(
    ({ at, label: name }) =>
      `<line class="grid" x1="${across(x.from)}" x2="${across(x.to)}" y1="${up(at)}" y2="${up(at)}"/><text class="tick" text-anchor="end" x="${LEFT - 6}" y="${up(at) + 4}">${name}</text>`,
  );
  const names = x.ticks.map(
    ({ at, label: name }) =>
      `<text class="tick" text-anchor="middle" x="${across(at)}" y="${HEIGHT - BOTTOM + 18}">${name}</text>`,
  );
  const drawn = lines.map(({ stroke: { colour, dash }, points }) => {
    const placed = points
      .map(({ x: at, ...point }) => ({ at: across(Math.min(x.to, at)).toFixed(1), order: at, ...point }))
      .sort((a, b) => a.order - b.order);
    const path = placed.map((point) => `${point.at},${up(point.y).toFixed(1)}`).join(" ");
    const marks = placed.map(
      ({ at, y: value, low, high, title }) =>
        `<g><line stroke="${colour}" stroke-opacity=".35" x1="${at}" x2="${at}" y1="${up(Math.max(y.from, low)).toFixed(1)}" y2="${up(Math.min(y.to, high)).toFixed(1)}"/><circle fill="${colour}" r="3" cx="${at}" cy="${up(value).toFixed(1)}"/><title>${escapeMarkup(title)}</title></g>`,
    );
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.6" stroke-dasharray="${dash}" points="${path}"/>${marks.join("")}`;
  });
  const compared =
    level === null
      ? ""
      : `<line class="full" x1="${across(x.from)}" x2="${across(x.to)}" y1="${up(level.y)}" y2="${up(level.y)}"/><text class="tick" x="${across(x.to) + 6}" y="${up(level.y) + 4}">${escapeMarkup(level.label)}</text>`;
  return `<svg style="width:${WIDTH}px" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeMarkup(label)}">
${grid.join("")}${names.join("")}
<text class="tick" text-anchor="middle" x="${across((x.from + x.to) / 2)}" y="${HEIGHT - 6}">${escapeMarkup(x.title)}</text>
${compared}${drawn.join("")}</svg>`;
}

/** Ticks from one value to another, named in percent. */
export function percentTicks(from: number, to: number, step: number): Axis["ticks"] {
  const count = Math.floor((to - from) / step + 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => {
    const at = to - i * step;
    return { at, label: String(Math.round(100 * at)) };
  });
}
