import { byId } from "./element";

const ENTRY = "winnow-api-key";

/**
 * The key that the server asks for, if it asks. It is kept for the tab's life alone: whoever opens the browser tomorrow
 * does not have it.
 */
export class ApiKey {
  readonly #form = byId("key-form", HTMLFormElement);
  readonly #field = byId("key", HTMLInputElement);
  readonly #problem = byId("key-problem", HTMLParagraphElement);
  #value = sessionStorage.getItem(ENTRY) ?? "";

  /** @param onChange called when a key has been entered. */
  constructor(onChange: () => void) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#value = this.#field.value.trim();
      sessionStorage.setItem(ENTRY, this.#value);
      this.#problem.textContent = "";
      onChange();
    });
  }

  /** Empty without one. */
  get value(): string {
    return this.#value;
  }

  refused(): void {
    if (this.#value !== "") this.#problem.textContent = "The server does not know this key.";
    if (!this.#form.hidden) return;
    this.#form.hidden = false;
    this.#field.focus();
  }

  accepted(): void {
    if (this.#form.hidden) return;
    const focused = this.#form.contains(document.activeElement);
    this.#form.hidden = true;
    this.#field.value = "";
    if (focused) byId("question", HTMLTextAreaElement).focus();
  }
}
