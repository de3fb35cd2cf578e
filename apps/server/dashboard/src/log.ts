import { byId, make } from "./element";

/** How near the end, in pixels, counts as reading along. */
const NEAR_END = 48;

/**
 * The conversation as it is shown. It announces nothing by itself: word by word it would be noise to a screen reader,
 * so an answer is announced as a whole when it has ended.
 */
export class Log {
  readonly #element = byId("log", HTMLDivElement);
  readonly #announcement = byId("announcement", HTMLParagraphElement);

  constructor() {
    this.clear();
  }

  clear(): void {
    const hint = make(
      "p",
      "quiet",
      "Nothing asked yet. Give it something long to read, then look at what each head keeps.",
    );
    hint.dataset.hint = "";
    this.#element.replaceChildren(hint);
  }

  /** A question, and below it the answers side by side. */
  ask(question: string, answers: readonly HTMLElement[]): void {
    this.#element.querySelector("[data-hint]")?.remove();
    const row = make("div", "answers", ...answers);
    row.dataset.count = String(answers.length);
    this.#element.append(make("p", "asked", question), row);
    this.#element.scrollTop = this.#element.scrollHeight;
  }

  announce(text: string): void {
    this.#announcement.textContent = text;
  }

  /** Change something, and stay at the end for who was there; who reads further up is left alone. */
  keepingPlace(change: () => void): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#element;
    const along = scrollHeight - scrollTop - clientHeight < NEAR_END;
    change();
    if (along) this.#element.scrollTop = this.#element.scrollHeight;
  }
}
