import { scaleColour } from "./colour-scale";
import { byId, make } from "./element";
import { policyCounts, type Head, type Heads } from "./heads";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** With more columns a cell has no room for its share, and shows the policy's letter alone. */
const ROOMY_COLUMNS = 8;

/**
 * Layers × KV heads: a cell's colour is the share of the slots that the head keeps, its letter the policy. It is a grid
 * with one stop of the tabulator, within which the arrow keys move, and every cell has its details as its name.
 */
export class HeatMap {
  readonly #empty = byId("map-empty", HTMLParagraphElement);
  readonly #figure = byId("map-figure", HTMLDivElement);
  readonly #host = byId("map", HTMLDivElement);
  readonly #detail = byId("head-detail", HTMLParagraphElement);
  readonly #policies = byId("map-policies", HTMLUListElement);
  #rows: HTMLTableCellElement[][] = [];
  #at = { layer: 0, head: 0 };

  /** Null or empty: there is nothing to show yet. */
  show(heads: Heads | null): void {
    const some = heads?.some((layer) => layer.length > 0) === true;
    this.#empty.hidden = some;
    this.#figure.hidden = !some;
    if (heads === null || !some) return;
    // The cells stay while the shape does: the focus and a tooltip survive an update.
    if (!this.#fits(heads)) this.#build(heads);
    const counts = policyCounts(heads);
    const letters = new Map(counts.map(({ policy }, i) => [policy, LETTERS[i % LETTERS.length] ?? "?"]));
    heads.forEach((layer, l) => {
      layer.forEach((head, h) => {
        const cell = this.#rows[l]?.[h];
        if (cell !== undefined) paint(cell, head, describeHead(l, h, head), letters.get(head.policy) ?? "?");
      });
    });
    this.#policies.replaceChildren(
      ...counts.map(({ policy, heads: count }) => {
        const number = make("span", "quiet", count === 1 ? "1 head" : `${count} heads`);
        return make("li", "", make("b", "", letters.get(policy) ?? "?"), make("code", "", policy), number);
      }),
    );
    this.#tell(document.activeElement);
  }

  #fits(heads: Heads): boolean {
    return heads.length === this.#rows.length && heads.every((layer, l) => layer.length === this.#rows[l]?.length);
  }

  #build(heads: Heads): void {
    const columns = Math.max(...heads.map((layer) => layer.length));
    const numbers = Array.from({ length: columns }, (_, h) => columnHeader(String(h)));
    const header = make("tr", "", columnHeader("layer"), ...numbers);
    this.#rows = heads.map((layer) => layer.map(() => gridCell()));
    const rows = this.#rows.map((cells, l) => {
      const number = make("th", "", String(l));
      number.scope = "row";
      return make("tr", "", number, ...cells);
    });
    const caption = make("caption", "", "KV head");
    const grid = make("table", columns > ROOMY_COLUMNS ? "grid dense" : "grid", caption, header, ...rows);
    grid.setAttribute("role", "grid");
    grid.setAttribute("aria-label", "Share of the slots that each KV head keeps, and its policy, by layer");
    grid.setAttribute("aria-readonly", "true");
    grid.addEventListener("keydown", (event) => {
      this.#move(event);
    });
    for (const type of ["mouseover", "focusin"]) {
      grid.addEventListener(type, (event) => {
        this.#tell(event.target);
      });
    }
    this.#host.replaceChildren(grid);
    this.#at = { layer: 0, head: 0 };
    const first = this.#rows[0]?.[0];
    if (first !== undefined) first.tabIndex = 0;
  }

  #tell(target: EventTarget | null): void {
    const cell = target instanceof Element && this.#host.contains(target) ? target.closest("td") : null;
    if (cell !== null) this.#detail.textContent = cell.title;
  }

  #move(event: KeyboardEvent): void {
    const { layer, head } = this.#at;
    const last = { layer: this.#rows.length - 1, head: (this.#rows[layer]?.length ?? 1) - 1 };
    const to = {
      ArrowUp: { layer: layer - 1, head },
      ArrowDown: { layer: layer + 1, head },
      ArrowLeft: { layer, head: head - 1 },
      ArrowRight: { layer, head: head + 1 },
      Home: { layer: event.ctrlKey ? 0 : layer, head: 0 },
      End: { layer: event.ctrlKey ? last.layer : layer, head: last.head },
    }[event.key];
    if (to === undefined || event.altKey || event.metaKey) return;
    event.preventDefault();
    const from = this.#rows[layer]?.[head];
    const cell = this.#rows[to.layer]?.[to.head];
    if (from === undefined || cell === undefined) return;
    from.tabIndex = -1;
    cell.tabIndex = 0;
    cell.focus();
    this.#at = to;
  }
}

function columnHeader(text: string): HTMLTableCellElement {
  const cell = make("th", "", text);
  cell.scope = "col";
  return cell;
}

function gridCell(): HTMLTableCellElement {
  const cell = make("td", "", make("span", "share"), make("span", "letter"));
  cell.setAttribute("role", "gridcell");
  cell.tabIndex = -1;
  return cell;
}

function paint(cell: HTMLTableCellElement, { share }: Head, details: string, letter: string): void {
  const { colour, ink } = scaleColour(share);
  cell.style.backgroundColor = colour;
  cell.style.color = ink;
  cell.title = details;
  cell.setAttribute("aria-label", details);
  const [number, policy] = cell.children;
  if (number !== undefined) number.textContent = String(Math.round(100 * share));
  if (policy !== undefined) policy.textContent = letter;
}

function describeHead(layer: number, number: number, { policy, share, slots, recovery }: Head): string {
  const kept = `keeps ${Math.round(100 * share)} %`;
  const counted = slots === null ? kept : `${kept}, ${slots.kept} of ${slots.of} slots`;
  const recovered = recovery === null ? "" : `, recovers ${(100 * recovery).toFixed(1)} % of its attention`;
  return `Layer ${layer}, KV head ${number}: ${policy}; ${counted}${recovered}`;
}
