import type { AnswerReport } from "./answer-report";
import { byId, make } from "./element";
import type { Heads } from "./heads";
import type { HeatMap } from "./heat-map";
import type { SlotReport } from "./slots-report";

interface Source {
  readonly value: string;
  readonly label: string;
  readonly heads: Heads;
}

const AUTOMATIC = "automatic";

/** Whose heads the map shows: a request that the server knows, or one of the last answers. */
export class HeatSource {
  readonly #select = byId("source", HTMLSelectElement);
  #slots: readonly SlotReport[] = [];
  #answers: readonly AnswerReport[] = [];
  #offered = "";

  constructor(private readonly map: HeatMap) {
    this.#select.addEventListener("change", () => {
      this.#show();
    });
    this.#show();
  }

  set slots(slots: readonly SlotReport[]) {
    this.#slots = slots;
    this.#show();
  }

  /** The answers to the last question, the chosen policy's first. */
  set answers(answers: readonly AnswerReport[]) {
    this.#answers = answers;
    this.#show();
  }

  #show(): void {
    const running = this.#slots
      .filter(({ state, heads }) => (state === "writing" || state === "reading") && heads.length > 0)
      .sort((a, b) => a.ageMs - b.ageMs)
      .map(slotSource);
    const answers = this.#answers.map(({ policy, heads }, i): Source => ({
      value: `answer ${i}`,
      label: `last answer, ${policy}`,
      heads,
    }));
    const resting = this.#slots
      .filter(({ state, heads }) => state !== "writing" && state !== "reading" && heads.length > 0)
      .map(slotSource);
    const sources = [...running, ...answers, ...resting];
    const automatic = { value: AUTOMATIC, label: "running request or last answer" };
    this.#offer([automatic, ...sources]);
    const chosen = sources.find(({ value }) => value === this.#select.value) ?? sources[0];
    this.map.show(chosen?.heads ?? null);
  }

  /** Options are replaced only when they differ, so that an open list stays open. */
  #offer(options: readonly Omit<Source, "heads">[]): void {
    const offered = JSON.stringify(options.map(({ value, label }) => [value, label]));
    if (offered === this.#offered) return;
    this.#offered = offered;
    const before = this.#select.value;
    this.#select.replaceChildren(
      ...options.map(({ value, label }) => {
        const option = make("option", "", label);
        option.value = value;
        return option;
      }),
    );
    this.#select.value = options.some(({ value }) => value === before) ? before : AUTOMATIC;
  }
}

function slotSource({ id, state, policy, heads }: SlotReport): Source {
  return { value: `slot ${id}`, label: `${shortId(id)}, ${state}, ${policy}`, heads };
}

/** Ids of requests are long and differ at the end. */
export function shortId(id: string): string {
  return id.length > 10 ? `…${id.slice(-8)}` : id;
}
