import { WinnowError } from "@winnow/core-tensor";

import type { Model } from "../model";
import { Conversation } from "../prompt/conversation";
import { turnParts } from "../prompt/parts";
import type { Generation, GenerateOptions, Session } from "./session";
import type { GenerationReport } from "../generate/report";

/**
 * A conversation over a session's cache: each turn extends what the session holds.
 *
 * @example
 * ```ts
 * const chat = new Chat(model, session, "Answer in one word.");
 * for await (const event of chat.ask("Where is the key?")) process.stdout.write(event.text);
 * ```
 */
export class Chat {
  readonly #conversation: Conversation;
  #closing = "";

  /** @throws WinnowError `tokenizer` when the model has no chat template. */
  constructor(
    private readonly model: Model,
    private readonly session: Session,
    system?: string,
  ) {
    if (model.template === null) {
      throw new WinnowError("tokenizer", `${model.dir} has no chat template; use raw prompts (--raw)`);
    }
    this.#conversation = new Conversation(model.template);
    if (system !== undefined) this.#conversation.system(system);
  }

  /**
   * Ask, and stream the answer.
   *
   * @param then asked after the message has been read and cut.
   */
  ask(content: string, options: GenerateOptions & { readonly then?: string | undefined } = {}): Generation {
    const parts = turnParts(this.model.tokenizer, this.#conversation.ask(content, options.then));
    const [first, ...others] = parts;
    const closing = first === undefined ? [] : this.#closingIds();
    const generation = this.session.generate(
      first === undefined ? [] : [{ ...first, ids: [...closing, ...first.ids] }, ...others],
      options,
    );
    return this.#remember(generation);
  }

  /** The end of the last answer's turn, as far as the model has not said it itself. */
  #closingIds(): number[] {
    const ids = this.model.tokenizer.encode(this.#closing, { addSpecial: false });
    return ids[0] !== undefined && ids[0] === this.session.tokens.at(-1) ? ids.slice(1) : ids;
  }

  /** Take note of the answer when it is complete, whichever way the caller learns that. */
  #remember(generation: Generation): Generation {
    let noted: GenerationReport | null = null;
    const report = async (): Promise<GenerationReport> => {
      if (noted === null) {
        noted = await generation.report();
        this.#closing = this.#conversation.answered(noted.text);
      }
      return noted;
    };
    return {
      async *[Symbol.asyncIterator]() {
        yield* generation;
        await report();
      },
      report,
    };
  }
}
