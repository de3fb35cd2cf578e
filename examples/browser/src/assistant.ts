import { Chat, profileReport, type GenerationReport, type Model, type Session } from "@winnow/runtime";
import type { ProfileReport } from "@winnow/profiler";

/** The longest answer, in tokens. */
export const MAX_TOKENS = 60;

/** What a conversation is about. */
export interface Subject {
  readonly policy: string;
  readonly document: string;
}

/** Whom an answer is told to, as it comes. */
export interface Listener {
  /** A share in [0, 1] of what has to be read. */
  onReading(share: number): void;
  /** What the cache holds now: when the prompt has been read and cut, and after each token. */
  onCache(report: ProfileReport): void;
  onText(text: string): void;
}

/** A model in conversation about one document at a time. */
export class Assistant {
  #conversation: { readonly subject: Subject; readonly session: Session; readonly chat: Chat } | null = null;

  constructor(private readonly model: Model) {}

  /** Whether a question about this subject goes on with the conversation, instead of beginning a new one. */
  knows({ policy, document }: Subject): boolean {
    const current = this.#conversation?.subject;
    return current?.policy === policy && current.document === document;
  }

  /**
   * Ask. Of a new subject the document is read and the cache cut before the question is looked at, so that nothing
   * knows it when slots are dropped.
   */
  async ask(subject: Subject, question: string, listener: Listener): Promise<GenerationReport> {
    const fresh = !this.knows(subject);
    const { session, chat } = fresh ? this.#begin(subject) : (this.#conversation ?? this.#begin(subject));
    const document = fresh ? subject.document.trim() : "";
    const told = document === "" ? { first: question } : { first: document, then: question };
    try {
      const generation = chat.ask(told.first, {
        then: told.then,
        maxTokens: MAX_TOKENS,
        onProgress: (done, total) => {
          listener.onReading(done / total);
        },
        onPromptRead: () => {
          listener.onCache(profileReport(this.model, session));
        },
      });
      for await (const { text } of generation) {
        listener.onText(text);
        listener.onCache(profileReport(this.model, session));
      }
      return await generation.report();
    } catch (error) {
      // The document was perhaps not read: the next question begins anew.
      if (fresh) this.#end();
      throw error;
    }
  }

  #begin(subject: Subject): { readonly session: Session; readonly chat: Chat } {
    this.#end();
    const session = this.model.createSession({ policy: subject.policy });
    const chat = new Chat(this.model, session);
    this.#conversation = { subject, session, chat };
    return { session, chat };
  }

  #end(): void {
    this.#conversation?.session[Symbol.dispose]();
    this.#conversation = null;
  }
}
