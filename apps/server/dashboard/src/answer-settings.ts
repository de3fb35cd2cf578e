import { byId, make } from "./element";

/** What the form says about how to answer. */
export class AnswerSettings {
  readonly #model = byId("model", HTMLSelectElement);
  readonly #policy = byId("policy", HTMLSelectElement);
  readonly #custom = byId("custom", HTMLInputElement);
  readonly #recovery = byId("recovery", HTMLInputElement);
  readonly #maxTokens = byId("max-tokens", HTMLInputElement);
  readonly #temperature = byId("temperature", HTMLInputElement);
  readonly #system = byId("system", HTMLTextAreaElement);

  constructor() {
    const field = byId("custom-field", HTMLDivElement);
    const follow = (): void => {
      const custom = this.#policy.value === "custom";
      field.hidden = !custom;
      // A field that is hidden and required would keep the form from being sent without a word.
      this.#custom.required = custom;
    };
    this.#policy.addEventListener("change", () => {
      follow();
      if (!field.hidden) this.#custom.focus();
    });
    follow();
  }

  /** One model needs no choice. */
  set models(ids: readonly string[]) {
    this.#model.replaceChildren(...ids.map((id) => make("option", "", id)));
    byId("model-field", HTMLDivElement).hidden = ids.length < 2;
  }

  get model(): string {
    return this.#model.value;
  }

  /** Null for the server's default. */
  get policy(): string | null {
    const { value } = this.#policy;
    if (value === "custom") return this.#custom.value.trim();
    return value === "" ? null : value;
  }

  /** Null for the policy's own. */
  get recovery(): number | null {
    return this.#recovery.value === "" ? null : this.#recovery.valueAsNumber;
  }

  get maxTokens(): number {
    return this.#maxTokens.valueAsNumber;
  }

  get temperature(): number {
    return this.#temperature.valueAsNumber;
  }

  get system(): string {
    return this.#system.value.trim();
  }
}
