import { byId } from "./element";

/** The conversation as it is shown. */
export class Log {
  readonly #element = byId("log", HTMLDivElement);

  /** Something about the conversation that nobody in it says. */
  tell(text: string): void {
    this.#add("told", text);
  }

  asked(question: string): void {
    this.#add("asked", question);
  }

  /** An answer that is still empty; the function adds to it. */
  answer(): (text: string) => void {
    const paragraph = this.#add("answer", "");
    return (text) => {
      paragraph.append(text);
      this.#scroll();
    };
  }

  /** While something is said, assistive technology waits with telling it. */
  set busy(busy: boolean) {
    this.#element.setAttribute("aria-busy", String(busy));
  }

  #add(kind: string, text: string): HTMLParagraphElement {
    const paragraph = document.createElement("p");
    paragraph.className = kind;
    paragraph.textContent = text;
    this.#element.append(paragraph);
    this.#scroll();
    return paragraph;
  }

  #scroll(): void {
    this.#element.scrollTop = this.#element.scrollHeight;
  }
}
