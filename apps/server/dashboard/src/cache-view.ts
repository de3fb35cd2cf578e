import { byId } from "./element";
import { formatBytes, formatShare } from "./format";
import { History } from "./history";
import { LineChart } from "./line-chart";
import { fullCacheBytes, type SlotsReport } from "./slots-report";

/** The cache's bytes, now and over the last two minutes, against the full cache's and the budget. */
export class CacheView {
  readonly #bytes = byId("bytes", HTMLElement);
  readonly #ofFull = byId("of-full", HTMLSpanElement);
  readonly #budget = byId("budget", HTMLParagraphElement);
  readonly #keyBudget = byId("key-budget", HTMLLIElement);
  readonly #keyBudgetText = byId("key-budget-text", HTMLSpanElement);
  readonly #history = new History();
  readonly #chart = new LineChart(byId("memory-chart", HTMLDivElement), {
    height: 190,
    lines: ["full", "now"],
    format: formatBytes,
  });

  show(report: SlotsReport, time: number): void {
    const { bytes, budgetBytes, reservedBytes } = report.cache;
    const full = fullCacheBytes(report);
    this.#history.add({ time, values: [full, bytes] });
    this.#bytes.textContent = formatBytes(bytes);
    const ofFull =
      full === 0
        ? "No request holds anything."
        : `of the ${formatBytes(full)} of a full cache (${formatShare(bytes / full)})`;
    this.#ofFull.textContent = ofFull;
    const reserved = reservedBytes === 0 ? "" : `, ${formatBytes(reservedBytes)} reserved`;
    this.#budget.textContent =
      budgetBytes === null ? `no budget${reserved}` : `budget ${formatBytes(budgetBytes)}${reserved}`;
    this.#keyBudget.hidden = budgetBytes === null;
    const label = `KV cache over the last two minutes; now ${formatBytes(bytes)} ${ofFull}`;
    const drawn = this.#chart.draw(this.#history.samples, time, budgetBytes, label);
    this.#keyBudgetText.textContent = drawn ? "budget" : "budget, far above";
  }
}
