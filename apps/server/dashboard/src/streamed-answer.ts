import type { AnswerCard } from "./answer-card";
import type { AnswerReport } from "./answer-report";
import type { Log } from "./log";
import type { Question, Server } from "./server";
import { explain } from "./server-error";

/** How a streamed answer ended. */
export interface StreamedAnswer {
  readonly outcome: "done" | "stopped" | "failed";
  /** What had come until then. */
  readonly text: string;
  readonly report: AnswerReport | null;
}

/** Ask, and fill a card with the answer as it comes. What goes wrong is told on the card. */
export async function streamAnswer(
  server: Server,
  question: Question,
  { card, signal, log }: { readonly card: AnswerCard; readonly signal: AbortSignal; readonly log: Log },
): Promise<StreamedAnswer> {
  const asked = performance.now();
  let text = "";
  let report: AnswerReport | null = null;
  try {
    for await (const event of server.answer(question, signal)) {
      switch (event.kind) {
        case "text":
          text += event.text;
          log.keepingPlace(() => {
            card.write(event.text, performance.now() - asked);
          });
          break;
        case "finish":
          card.finish = event.reason;
          break;
        case "usage":
          card.usage = event;
          break;
        case "report":
          report = event.report;
          card.report = report;
      }
    }
    log.keepingPlace(() => {
      card.end();
    });
    return { outcome: "done", text, report };
  } catch (error) {
    const stopped = signal.aborted;
    log.keepingPlace(() => {
      if (stopped) card.stop();
      else card.fail(explain(error));
    });
    return { outcome: stopped ? "stopped" : "failed", text, report };
  }
}
