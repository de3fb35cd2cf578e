import { HISTORY_MS, type Sample } from "./history";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 58, right: 8, top: 10, bottom: 20 } as const;
/** A gap between samples that is longer is not bridged: the tab slept, or the server was away. */
const GAP_MS = 20_000;
/** A limit further above the lines than this would press them flat; it is told in words instead. */
const LIMIT_REACH = 4;

export interface ChartOptions {
  readonly height: number;
  /** A class for each of the values of a sample. */
  readonly lines: readonly string[];
  readonly format: (value: number) => string;
}

/** Lines over the last two minutes, drawn anew at the width that there is. */
export class LineChart {
  readonly #svg = create("svg", { role: "img" });
  #redraw = (): void => undefined;

  constructor(
    private readonly host: HTMLElement,
    private readonly options: ChartOptions,
  ) {
    host.append(this.#svg);
    new ResizeObserver(() => {
      this.#redraw();
    }).observe(host);
  }

  /**
   * @param label what a reader who does not see the chart is told instead.
   * @returns whether the limit is drawn.
   */
  draw(samples: readonly Sample[], now: number, limit: number | null, label: string): boolean {
    const highest = Math.max(0, ...samples.flatMap(({ values }) => values.map((value) => value ?? 0)));
    const shown = limit !== null && (highest === 0 || limit <= LIMIT_REACH * highest) ? limit : null;
    const top = niceAbove(1.05 * Math.max(highest, shown ?? 0));
    this.#redraw = () => {
      this.#draw(samples, now, shown, top);
    };
    this.#svg.setAttribute("aria-label", label);
    this.#redraw();
    return shown !== null;
  }

  #draw(samples: readonly Sample[], now: number, limit: number | null, top: number): void {
    const { height, lines, format } = this.options;
    const width = Math.max(160, this.host.clientWidth);
    const floor = height - MARGIN.bottom;
    const x = (time: number): number =>
      MARGIN.left + Math.max(0, 1 - (now - time) / HISTORY_MS) * (width - MARGIN.left - MARGIN.right);
    const y = (value: number): number => floor - (value / top) * (floor - MARGIN.top);

    const marks = [0, top / 2, top].flatMap((value) => [
      create("line", { class: "rule", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      text(format(value), { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }),
    ]);
    const times = [
      text("2 min ago", { x: MARGIN.left, y: height - 5, "text-anchor": "start" }),
      text("now", { x: width - MARGIN.right, y: height - 5, "text-anchor": "end" }),
    ];
    const drawn = lines.flatMap((name, index) =>
      runs(samples, index).flatMap((run) => {
        const points = run.map(({ time, value }) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`);
        const from = x(run[0]?.time ?? now).toFixed(1);
        const to = x(run.at(-1)?.time ?? now).toFixed(1);
        return [
          create("polygon", { class: `area ${name}`, points: `${from},${floor} ${points.join(" ")} ${to},${floor}` }),
          create("polyline", { class: `curve ${name}`, points: points.join(" ") }),
        ];
      }),
    );
    const limits =
      limit === null
        ? []
        : [create("line", { class: "limit", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(limit), y2: y(limit) })];
    set(this.#svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    this.#svg.replaceChildren(...marks, ...drawn, ...limits, ...times);
  }
}

/** Uninterrupted stretches of one of the values. */
function runs(samples: readonly Sample[], index: number): { readonly time: number; readonly value: number }[][] {
  const found: { readonly time: number; readonly value: number }[][] = [];
  let before = -Infinity;
  for (const { time, values } of samples) {
    const value = values[index];
    if (value == null) {
      before = -Infinity;
      continue;
    }
    if (time - before > GAP_MS) found.push([]);
    found.at(-1)?.push({ time, value });
    before = time;
  }
  return found;
}

/** The next number above that is easy to halve and to read. */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  return magnitude * ([1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].find((step) => step * magnitude >= value) ?? 10);
}

type Attributes = Readonly<Record<string, string | number>>;

function create<Tag extends keyof SVGElementTagNameMap>(tag: Tag, attributes: Attributes): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  return element;
}

function set(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}

function text(content: string, attributes: Attributes): SVGTextElement {
  const element = create("text", attributes);
  element.textContent = content;
  return element;
}
