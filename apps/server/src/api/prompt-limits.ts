import type { Model, PromptPart } from "@winnow/runtime";

import { ApiError } from "../http/api-error";

/** What a prompt may be, known before it costs anything. */
export class PromptLimits {
  /** A text of more bytes has more tokens than the context. */
  readonly #mostBytes: number;

  constructor(private readonly model: Model) {
    const longest = model.tokenizer.vocabulary().reduce((most, { bytes }) => Math.max(most, bytes.length), 1);
    this.#mostBytes = longest * model.engine.context;
  }

  /** @throws ApiError 400 for texts that cannot fit whatever their tokens are. */
  expectText(texts: readonly string[], param: string): void {
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (bytes > this.#mostBytes) {
      throw tooLong(
        `the prompt has ${bytes} bytes of text, and the model's context holds ${this.model.engine.context} tokens`,
        param,
      );
    }
  }

  /** @throws ApiError 400 for more ids than the context holds, and for those of no token. */
  expectIds(ids: readonly number[], param: string): void {
    const { engine, config } = this.model;
    if (ids.length > engine.context) {
      throw tooLong(`there are ${ids.length} token ids, and the model's context holds ${engine.context}`, param);
    }
    const beyond = ids.find((id) => id >= config.vocabulary);
    if (beyond !== undefined) {
      throw new ApiError(
        400,
        "invalid_request_error",
        `the token id ${beyond} is outside the model's vocabulary of ${config.vocabulary}`,
        { param },
      );
    }
  }

  /** @throws ApiError 400 when the prompt leaves no room for an answer. */
  expectRoom(parts: readonly PromptPart[], readBefore: number, param: string): void {
    const { context } = this.model.engine;
    const tokens = parts.reduce((sum, { ids }) => sum + ids.length, readBefore);
    if (tokens >= context) {
      throw tooLong(`the prompt has ${tokens} tokens, and the model's context holds ${context} with the answer`, param);
    }
  }
}

function tooLong(message: string, param: string): ApiError {
  return new ApiError(400, "invalid_request_error", `${message}; shorten it`, {
    param,
    code: "context_length_exceeded",
  });
}
