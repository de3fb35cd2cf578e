import { byId } from "./element";

/** Whether the server can be reached, at the top of the page. */
export class Connection {
  readonly #element = byId("connection", HTMLParagraphElement);
  readonly #text = byId("connection-text", HTMLSpanElement);

  connected(): void {
    this.#tell("connected", "Connected");
  }

  lost(reason: string): void {
    this.#tell("lost", reason);
  }

  /** The same words again would be announced again. */
  #tell(state: string, text: string): void {
    if (this.#text.textContent === text) return;
    this.#element.dataset.state = state;
    this.#text.textContent = text;
  }
}
