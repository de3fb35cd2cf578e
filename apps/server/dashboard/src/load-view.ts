import { byId, make } from "./element";
import { formatBytes, formatShare } from "./format";
import { shortId } from "./heat-source";
import { History } from "./history";
import { LineChart } from "./line-chart";
import type { SlotReport, SlotsReport } from "./slots-report";

/** What the server has to do: the queue, its speed, what it need not read again, and every request that it knows. */
export class LoadView {
  readonly #tiles = {
    running: byId("running", HTMLElement),
    waiting: byId("waiting", HTMLElement),
    parked: byId("parked", HTMLElement),
    speed: byId("speed", HTMLElement),
    hits: byId("hits", HTMLElement),
    misses: byId("misses", HTMLElement),
  };
  readonly #prefixes = byId("prefixes", HTMLParagraphElement);
  readonly #none = byId("no-requests", HTMLParagraphElement);
  readonly #figure = byId("requests-figure", HTMLDivElement);
  readonly #rows = byId("requests", HTMLTableElement).tBodies[0];
  readonly #history = new History();
  readonly #chart = new LineChart(byId("speed-chart", HTMLDivElement), {
    height: 100,
    lines: ["now"],
    format: (value) => String(value),
  });

  show({ queue, tokensPerSecond, cache, slots }: SlotsReport, time: number): void {
    const { prefixes } = cache;
    const speed = tokensPerSecond === null ? "–" : tokensPerSecond.toFixed(1);
    const figures = {
      running: String(queue.running),
      waiting: queue.max === null ? String(queue.waiting) : `${queue.waiting} of ${queue.max}`,
      parked: String(queue.parked),
      speed,
      hits: String(prefixes.hits),
      misses: String(prefixes.misses),
    };
    for (const name of ["running", "waiting", "parked", "speed", "hits", "misses"] as const) {
      this.#tiles[name].textContent = figures[name];
    }
    const looked = prefixes.hits + prefixes.misses;
    const rate = looked === 0 ? "" : `; ${formatShare(prefixes.hits / looked)} of prompts began with one`;
    const entries = prefixes.entries === 1 ? "1 prefix" : `${prefixes.entries} prefixes`;
    this.#prefixes.textContent = `${entries} in the cache, ${formatBytes(prefixes.bytes)}${rate}.`;
    this.#history.add({ time, values: [tokensPerSecond ?? 0] });
    this.#chart.draw(this.#history.samples, time, null, `Tokens per second over the last two minutes; now ${speed}`);
    this.#none.hidden = slots.length > 0;
    this.#figure.hidden = slots.length === 0;
    this.#rows?.replaceChildren(...slots.map(requestRow));
  }
}

function requestRow({ id, state, policy, promptTokens, tokens, kv }: SlotReport): HTMLTableRowElement {
  const name = make("th", "", make("code", "", shortId(id)));
  name.scope = "row";
  name.title = id;
  const share = formatShare(kv.fullBytes === 0 ? null : kv.bytes / kv.fullBytes);
  const badge = make("span", "badge", state);
  badge.dataset.state = state;
  return make(
    "tr",
    "",
    name,
    make("td", "", badge),
    make("td", "", make("code", "", policy)),
    ...[String(promptTokens), String(tokens), formatBytes(kv.bytes), share].map((text) => make("td", "number", text)),
  );
}
