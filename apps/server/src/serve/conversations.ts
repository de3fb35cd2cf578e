import { WinnowError } from "@winnow/core-tensor";
import {
  Chat,
  Conversation,
  chatParts,
  type ChatMessage,
  type ChatState,
  type GenerationReport,
  type Model,
  type PromptPart,
  type Session,
  type SessionOptions,
} from "@winnow/runtime";

import { ApiError } from "../http/api-error";

/** Conversations that are kept at most; the one that was left alone the longest goes first. */
const MOST_KEPT = 64;
/** One that nobody goes on with for so long is forgotten. */
const KEPT_MS = 30 * 60_000;
const LOOK_MS = 60_000;

interface Kept {
  readonly session: Session;
  readonly cut: string;
  state: ChatState | null;
  busy: boolean;
  usedAtMs: number;
}

/** The next answer of a conversation. */
export interface Turn {
  readonly session: Session;
  readonly parts: readonly PromptPart[];
  /** To be called instead of `end` when nothing was read: the conversation is where it was. */
  readonly release: () => void;
  /** To be called once, with the answer, or null when there is none to go on from. Never throws. */
  readonly end: (answer: Pick<GenerationReport, "text" | "tokens"> | null) => void;
}

/**
 * Conversations by name (`winnow.session`): a request whose messages go on from the last answer extends the compressed
 * cache; any other begins anew. Names belong to the owner of an API key.
 */
export class Conversations implements Disposable {
  /** The one that was left alone the longest comes first. */
  readonly #kept = new Map<string, Kept>();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(
    private readonly model: Model,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#timer = setInterval(() => {
      this.forgetOld();
    }, LOOK_MS);
    this.#timer.unref();
  }

  get size(): number {
    return this.#kept.size;
  }

  /** @throws ApiError 409 while the conversation's last answer is under way; WinnowError as `chatParts` does. */
  take(owner: string, name: string, messages: readonly ChatMessage[], options: SessionOptions): Turn {
    const key = JSON.stringify([owner, name]);
    // Whether tokens are guessed makes no difference to what a cache holds.
    const { registry: _, speculate = 0, ...visible } = options;
    const cut = JSON.stringify(visible);
    const before = this.#kept.get(key);
    if (before?.busy === true) {
      throw new ApiError(
        409,
        "invalid_request_error",
        `the session "${name}" is busy with another answer; wait for it, or use another name`,
        { param: "winnow.session" },
      );
    }
    const goesOn = before?.cut === cut ? nextParts(this.model, before, messages) : null;
    if (before !== undefined && goesOn !== null) {
      before.session.speculate(speculate);
      return this.#turn(key, before, goesOn, messages);
    }
    const parts = chatParts(this.model, messages);
    const session = this.model.createSession(options);
    if (before === undefined) this.#makeRoom();
    else before.session[Symbol.dispose]();
    return this.#turn(key, { session, cut, state: null, busy: false, usedAtMs: 0 }, parts, messages);
  }

  /** Forget those that nobody has gone on with for long. */
  forgetOld(): void {
    for (const [key, { busy, usedAtMs }] of [...this.#kept]) {
      if (!busy && this.now() - usedAtMs > KEPT_MS) this.#forget(key);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const key of [...this.#kept.keys()]) this.#forget(key);
  }

  #turn(key: string, kept: Kept, parts: readonly PromptPart[], messages: readonly ChatMessage[]): Turn {
    kept.busy = true;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return {
      session: kept.session,
      parts,
      release: () => {
        kept.busy = false;
        if (kept.state === null) this.#forget(key);
      },
      end: (answer) => {
        kept.busy = false;
        kept.usedAtMs = this.now();
        kept.state = answer === null ? null : stateAfter(this.model, messages, answer);
        if (kept.state === null) this.#forget(key);
      },
    };
  }

  #makeRoom(): void {
    for (const [key, { busy }] of [...this.#kept]) {
      if (this.#kept.size < MOST_KEPT) return;
      if (!busy) this.#forget(key);
    }
  }

  #forget(key: string): void {
    this.#kept.get(key)?.session[Symbol.dispose]();
    this.#kept.delete(key);
  }
}

/** Where a conversation stands after an answer; null where its cache does not hold just what was told. */
function stateAfter(
  model: Model,
  messages: readonly ChatMessage[],
  { text, tokens }: Pick<GenerationReport, "text" | "tokens">,
): ChatState | null {
  // The tokens of a stop string were read, and not told.
  if (model.template === null || model.tokenizer.decode(tokens) !== text) return null;
  const { template } = model;
  return unlessRefused(() => {
    const conversation = new Conversation(template, messages);
    const closing = conversation.answered(text);
    return { messages: conversation.messages, closing };
  });
}

/** What the messages add to what was said before; null where they do not go on from it. */
function nextParts(
  model: Model,
  { session, state }: Kept,
  messages: readonly ChatMessage[],
): readonly PromptPart[] | null {
  const last = messages.at(-1);
  if (state === null || last?.role !== "user" || messages.length !== state.messages.length + 1) return null;
  const same = state.messages.every(
    ({ role, content }, i) => role === messages[i]?.role && content === messages[i].content,
  );
  return same ? unlessRefused(() => new Chat(model, session, undefined, state).parts(last.content)) : null;
}

/** Null where the template refuses the messages, or has written earlier ones in another way. */
function unlessRefused<T>(render: () => T): T | null {
  try {
    return render();
  } catch (error) {
    if (error instanceof WinnowError && error.code === "tokenizer") return null;
    throw error;
  }
}
