import { escapeMarkup } from "@winnow/profiler";

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 64;
const RIGHT = 176;
const TOP = 36;
const BOTTOM = 52;
const COLOURS = ["#0969da", "#1a7f37", "#8250df", "#bf8700", "#cf222e", "#57606a", "#0e7c86"];
/** Of names beside lines that end close to each other. */
const NAME_HEIGHT = 15;

export interface PlotLine {
  readonly name: string;
  /** Drawn faint, without marks: a line that others are compared with. */
  readonly faint?: boolean;
  readonly points: readonly PlotPoint[];
}

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
  /** An interval around y. */
  readonly least: number;
  readonly most: number;
}

export interface LinePlot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly scale: "linear" | "logarithmic";
  readonly ticks: readonly number[];
  readonly lines: readonly PlotLine[];
}

/** Lines with marks and intervals, as a file of its own. */
export function linePlot({ title, x, y, scale, ticks, lines }: LinePlot): string {
  const isLogarithmic = scale === "logarithmic";
  const place = isLogarithmic ? Math.log10 : (value: number): number => value;
  const all = lines.flatMap(({ points }) => points);
  const [left, right] = [Math.min(...ticks), Math.max(...ticks)].map(place);
  const most = Math.max(...all.map((point) => point.most));
  const levels = isLogarithmic ? decades(Math.min(...all.map(({ least }) => least)), most) : roundLevels(most);
  const [bottom, top] = [Math.min(...levels), Math.max(...levels)].map(place);
  const across = (value: number): number =>
    LEFT + ((place(value) - (left ?? 0)) / ((right ?? 1) - (left ?? 0))) * (WIDTH - LEFT - RIGHT);
  const up = (value: number): number =>
    HEIGHT - BOTTOM - ((place(value) - (bottom ?? 0)) / ((top ?? 1) - (bottom ?? 0))) * (HEIGHT - TOP - BOTTOM);
  const drawn = lines.map(({ points, faint = false }, i) => {
    const colour = COLOURS[i % COLOURS.length] ?? "";
    const path = points.map((point) => `${fixed(across(point.x))},${fixed(up(point.y))}`).join(" ");
    const marks = faint
      ? []
      : points.map((point) => {
          const at = fixed(across(point.x));
          return (
            `<line stroke="${colour}" x1="${at}" x2="${at}" y1="${fixed(up(point.least))}" y2="${fixed(up(point.most))}"/>` +
            `<circle fill="${colour}" r="3" cx="${at}" cy="${fixed(up(point.y))}"/>`
          );
        });
    const stroke = faint ? ` stroke-dasharray="4 3" stroke-opacity=".6"` : "";
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.6"${stroke} points="${path}"/>${marks.join("")}`;
  });
  const middle = fixed((LEFT + WIDTH - RIGHT) / 2);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeMarkup(title)}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="20" font-size="14">${escapeMarkup(title)}</text>
${levels.map((level) => `<line stroke="#d0d7de" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fixed(up(level))}" y2="${fixed(up(level))}"/><text text-anchor="end" x="${LEFT - 6}" y="${fixed(up(level) + 4)}">${level}</text>`).join("")}
${ticks.map((tick) => `<text text-anchor="middle" x="${fixed(across(tick))}" y="${HEIGHT - BOTTOM + 18}">${tick.toLocaleString("en")}</text>`).join("")}
<text text-anchor="middle" x="${middle}" y="${HEIGHT - 10}">${escapeMarkup(x)}</text>
<text text-anchor="middle" transform="translate(16 ${fixed((HEIGHT - BOTTOM + TOP) / 2)}) rotate(-90)">${escapeMarkup(y)}</text>
${drawn.join("\n")}
${namesBeside(lines, up)}
</svg>
`;
}

/** The lines' names beside their ends, moved apart where they would lie on each other. */
function namesBeside(lines: readonly PlotLine[], up: (value: number) => number): string {
  const ends = lines
    .map(({ name, points }, i) => ({ name, i, wanted: up(points.at(-1)?.y ?? 0) + 4 }))
    .sort((a, b) => a.wanted - b.wanted);
  let last = -Infinity;
  return ends
    .map(({ name, i, wanted }) => {
      last = Math.max(wanted, last + NAME_HEIGHT);
      const colour = COLOURS[i % COLOURS.length] ?? "";
      return `<text x="${WIDTH - RIGHT + 8}" y="${fixed(last)}" fill="${colour}">${escapeMarkup(name)}</text>`;
    })
    .join("");
}

function decades(least: number, most: number): number[] {
  const from = Math.floor(Math.log10(least));
  const to = Math.ceil(Math.log10(most));
  return Array.from({ length: Math.max(2, to - from + 1) }, (_, i) => Number((10 ** (from + i)).toPrecision(1)));
}

/** From 0 to a round number above. */
function roundLevels(most: number): number[] {
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [0.2, 0.5, 1, 2].map((factor) => factor * power).find((size) => most / size <= 6) ?? power;
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

function fixed(value: number): string {
  return value.toFixed(1);
}
