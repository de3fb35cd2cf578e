import { percent } from "../../output/percent";
import { escapeMarkup } from "@winnow/profiler";

import { strokeOf } from "../../eval/report/stroke";

const BAR = { width: 26, height: 120, gap: 6 };
const LABEL = 34;

/** One bar, whose parts are shares of 1 and stand on each other in order. */
export interface StackedBar {
  readonly name: string;
  readonly shares: readonly number[];
}

/** Bars that belong together. */
export interface BarGroup {
  readonly name: string;
  readonly bars: readonly StackedBar[];
}

/**
 * Groups of stacked bars side by side, each a picture of a page that has the classes `maps` and `tick`.
 *
 * @param names of the parts, from the bottom up.
 */
export function stackedBars(names: readonly string[], groups: readonly BarGroup[]): string {
  return `<div class="maps">${groups.map((group) => groupOf(group, names)).join("")}</div>`;
}

function groupOf({ name, bars }: BarGroup, names: readonly string[]): string {
  const width = bars.length * (BAR.width + BAR.gap) - BAR.gap;
  const columns = bars.map((bar, i) => column(bar, i * (BAR.width + BAR.gap), names));
  const label = bars.map((bar) => {
    const shares = bar.shares.map((share, i) => `${names[i] ?? ""} ${percent(share)} %`);
    return `${bar.name}: ${shares.join(", ")}`;
  });
  return `<svg style="width:${width}px" viewBox="0 0 ${width} ${BAR.height + LABEL}" role="img" aria-label="${escapeMarkup(`${name}. ${label.join("; ")}`)}">${columns.join("")}<text class="tick" text-anchor="middle" x="${width / 2}" y="${BAR.height + LABEL - 4}">${escapeMarkup(name)}</text></svg>`;
}

function column({ name, shares }: StackedBar, x: number, names: readonly string[]): string {
  let below = 0;
  const parts = shares.map((share, i) => {
    const part = names[i] ?? "";
    const height = share * BAR.height;
    below += height;
    return `<rect x="${x}" y="${(BAR.height - below).toFixed(1)}" width="${BAR.width}" height="${height.toFixed(1)}" fill="${strokeOf(names, part).colour}"><title>${escapeMarkup(`${part}: ${percent(share)} %`)}</title></rect>`;
  });
  return `${parts.join("")}<text class="tick" text-anchor="middle" x="${x + BAR.width / 2}" y="${BAR.height + 14}">${escapeMarkup(name)}</text>`;
}
