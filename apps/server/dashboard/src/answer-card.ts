import type { AnswerReport } from "./answer-report";
import { make } from "./element";
import { formatBytes, formatShare, formatTime } from "./format";

/** One answer on the page while it comes, with what it took. */
export class AnswerCard {
  readonly element = make("article", "answer");
  readonly #name = make("code", "");
  readonly #state = make("span", "state", "waiting …");
  readonly #text = make("p", "text");
  readonly #problem = make("p", "problem");
  readonly #figures = make("dl", "figures");
  #firstTokenMs: number | null = null;
  #tokens: { readonly promptTokens: number; readonly tokens: number } | null = null;
  #report: AnswerReport | null = null;
  #finish: string | null = null;

  /** @param policy as it was asked for. */
  constructor(policy: string) {
    this.#rename(policy);
    this.#problem.hidden = true;
    this.#figures.hidden = true;
    this.element.dataset.state = "waiting";
    this.element.append(make("header", "", this.#name, this.#state), this.#text, this.#problem, this.#figures);
  }

  /** @param sinceAskedMs how long after the question it came. */
  write(text: string, sinceAskedMs: number): void {
    if (this.#firstTokenMs === null) {
      this.#firstTokenMs = sinceAskedMs;
      this.#enter("writing", "writing …");
      this.#showFigures();
    }
    this.#text.append(text);
  }

  set finish(reason: string) {
    this.#finish = reason;
  }

  set usage(tokens: { readonly promptTokens: number; readonly tokens: number }) {
    this.#tokens = tokens;
  }

  set report(report: AnswerReport) {
    this.#report = report;
    if (report.policy !== "") this.#rename(report.policy);
  }

  end(): void {
    this.#enter("done", this.#finish === "length" ? "cut off at max tokens" : "");
    this.#showFigures();
  }

  stop(): void {
    this.#enter("stopped", "stopped");
    this.#showFigures();
  }

  fail(sentence: string): void {
    this.#enter("failed", "failed");
    this.#problem.textContent = sentence;
    this.#problem.hidden = false;
    this.#showFigures();
  }

  #rename(policy: string): void {
    this.#name.textContent = policy;
    this.element.setAttribute("aria-label", `Answer by ${policy}`);
  }

  #enter(state: string, word: string): void {
    this.element.dataset.state = state;
    this.#state.textContent = word;
  }

  #showFigures(): void {
    const figures: [name: string, value: string, title: string][] = [];
    const report = this.#report;
    if (report !== null) {
      const { bytes, fullBytes, peakBytes } = report.kv;
      const share = fullBytes === 0 ? null : bytes / fullBytes;
      const kept = `${formatBytes(bytes)} of ${formatBytes(fullBytes)} (${formatShare(share)})`;
      figures.push(["KV cache", kept, `At most ${formatBytes(peakBytes)} while the prompt was read`]);
    }
    if (this.#firstTokenMs !== null) {
      const title =
        report === null
          ? "From sending the question"
          : `From sending the question: ${formatTime(report.queueMs)} in the queue, ${formatTime(report.promptMs)} reading`;
      figures.push(["First token", formatTime(this.#firstTokenMs), title]);
    }
    if (report?.tokensPerSecond != null) {
      figures.push(["Speed", `${report.tokensPerSecond.toFixed(1)} tokens/s`, "Writing alone, without the prompt"]);
    }
    if (this.#tokens !== null) {
      const { promptTokens, tokens } = this.#tokens;
      figures.push(["Tokens", `${promptTokens} read, ${tokens} written`, ""]);
    }
    if (report?.rows.note != null) figures.push(["Profiled rows", report.rows.source, report.rows.note]);
    this.#figures.hidden = figures.length === 0;
    this.#figures.replaceChildren(
      ...figures.map(([name, value, title]) => {
        const group = make("div", "", make("dt", "", name), make("dd", "", value));
        if (title !== "") group.title = title;
        return group;
      }),
    );
  }
}
