import { AnswerCard } from "./answer-card";
import type { AnswerReport } from "./answer-report";
import type { AnswerSettings } from "./answer-settings";
import { byId } from "./element";
import { Log } from "./log";
import type { Message, Question, Server } from "./server";
import { streamAnswer, type StreamedAnswer } from "./streamed-answer";

/** The left half of the page: a conversation, if wanted with every question answered twice. */
export class Chat {
  readonly #form = byId("ask-form", HTMLFormElement);
  readonly #question = byId("question", HTMLTextAreaElement);
  readonly #compare = byId("compare", HTMLInputElement);
  readonly #send = byId("send", HTMLButtonElement);
  readonly #stop = byId("stop", HTMLButtonElement);
  readonly #log = new Log();
  #messages: readonly Message[] = [];
  #running: AbortController | null = null;

  /** @param onReports what the answers to the last question took, the chosen policy's first. */
  constructor(
    private readonly server: Server,
    private readonly settings: AnswerSettings,
    private readonly onReports: (reports: readonly AnswerReport[]) => void,
  ) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#ask();
    });
    this.#question.addEventListener("keydown", (event) => {
      // While an input method composes, Enter picks a word.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (this.#running === null) this.#form.requestSubmit();
    });
    this.#stop.addEventListener("click", () => this.#running?.abort());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#running?.abort();
    });
    byId("new", HTMLButtonElement).addEventListener("click", () => {
      this.#running?.abort();
      this.#messages = [];
      this.#log.clear();
      this.#question.focus();
    });
  }

  async #ask(): Promise<void> {
    const content = this.#question.value.trim();
    if (content === "" || this.#running !== null) return;
    const running = new AbortController();
    this.#begin(running);
    const before = this.#messages;
    const asked: readonly Message[] = [...before, { role: "user", content }];
    // A new conversation may begin meanwhile, which this answer is then no part of.
    this.#messages = asked;
    const answers = await this.#answer(content, asked, running.signal);
    const [chosen] = answers;
    const goesOn = this.#messages === asked;
    if (goesOn) {
      const kept = chosen !== undefined && chosen.outcome !== "failed" && chosen.text !== "";
      this.#messages = kept ? [...asked, { role: "assistant", content: chosen.text }] : before;
      if (!kept && this.#question.value === "") this.#question.value = content;
      this.onReports(answers.map(({ report }) => report).filter((report) => report !== null));
    }
    this.#end();
  }

  /** The answer that the conversation goes on with, and the full cache's if the two are compared. */
  async #answer(content: string, asked: readonly Message[], signal: AbortSignal): Promise<readonly StreamedAnswer[]> {
    const { model, maxTokens, temperature, system, policy, recovery } = this.settings;
    const messages: readonly Message[] = system === "" ? asked : [{ role: "system", content: system }, ...asked];
    const question: Question = { model, messages, maxTokens, temperature, policy, recovery };
    const questions = this.#compare.checked ? [question, { ...question, policy: "full", recovery: null }] : [question];
    const parts = questions.map((one) => ({ one, card: new AnswerCard(one.policy ?? "server default") }));
    // The full cache stands first, as what the other is compared with.
    this.#log.ask(content, parts.map(({ card }) => card.element).reverse());
    const answers = await Promise.all(
      parts.map(({ one, card }) => streamAnswer(this.server, one, { card, signal, log: this.#log })),
    );
    const [chosen] = answers;
    if (chosen !== undefined) this.#log.announce(ANNOUNCED[chosen.outcome](chosen.text));
    return answers;
  }

  #begin(running: AbortController): void {
    this.#running = running;
    this.#question.value = "";
    this.#log.announce("The question is sent.");
    const focused = document.activeElement === this.#send;
    this.#send.hidden = true;
    this.#stop.hidden = false;
    if (focused) this.#stop.focus();
  }

  #end(): void {
    this.#running = null;
    const focused = document.activeElement === this.#stop;
    this.#send.hidden = false;
    this.#stop.hidden = true;
    if (focused) this.#question.focus();
  }
}

const ANNOUNCED = {
  done: (text: string) => `Answer: ${text}`,
  stopped: (text: string) => `Stopped. ${text}`,
  failed: () => "There is no answer; the reason stands in the conversation.",
} as const;
