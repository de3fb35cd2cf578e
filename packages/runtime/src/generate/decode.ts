import { NOT_A_TOKEN, WinnowError, rows, type SamplingParams } from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import type { Sequence } from "../cache/sequence";
import type { Sweeper } from "../cache/sweep";
import type { Tokenizer } from "../tokenizer";
import type { StopStrings } from "./stop-strings";
import type { FinishReason } from "./report";

/** What a generation says as it goes. */
export type GenerationEvent =
  /** A token was drawn; `text` is what is certain of the answer now that was not before. */
  | { readonly kind: "token"; readonly id: number; readonly text: string; readonly logProbability: number }
  /** The end of the answer, held back until it was certain that no stop string follows. */
  | { readonly kind: "rest"; readonly text: string };

export interface DecodeOptions {
  readonly sampling: SamplingParams;
  readonly maxTokens: number;
  readonly stops: StopStrings;
  readonly eosIds: ReadonlySet<number>;
  readonly ignoreEos: boolean;
  /** Tokens between two sweeps; 1 is the paper's algorithm. */
  readonly interval: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a decoding loop leaves behind, besides the cache. */
export interface Decoded {
  readonly tokens: number[];
  text: string;
  finishReason: FinishReason;
  /** Milliseconds between tokens. */
  readonly times: number[];
}

/**
 * Draw tokens over a sequence's cache until something ends it, at the latest when they and the prompt fill the context.
 * The last token drawn is not read: its row is computed when the sequence goes on.
 *
 * @throws WinnowError `numeric` when logits are not numbers.
 */
export async function* decode(
  sequence: Sequence,
  sweeper: Sweeper,
  tokenizer: Tokenizer,
  options: DecodeOptions,
  decoded: Decoded,
): AsyncGenerator<GenerationEvent, void, undefined> {
  const { backend } = sequence.engine;
  const { stops } = options;
  const stream = tokenizer.stream();
  const { token, logProbability } = sequence.drawn;
  let sinceSweep = 0;
  let stopped = false;
  decoded.finishReason = "length";
  let last = performance.now();
  const { context } = sequence.engine;
  while (decoded.tokens.length < options.maxTokens && sequence.tokens.length < context) {
    throwIfAborted(options.signal, "the answer");
    backend.sample({
      logits: rows(sequence.logits),
      params: options.sampling,
      seen: options.sampling.repetitionPenalty === 1 ? new Uint32Array(0) : Uint32Array.from(sequence.tokens),
      choice: 0,
      position: sequence.tokens.length,
      token,
      logProbability,
    });
    const [id = NOT_A_TOKEN] = await backend.download(token);
    const [drawnAt = NaN] = await backend.download(logProbability);
    if (id === NOT_A_TOKEN) {
      throw new WinnowError(
        "numeric",
        `the logits at position ${sequence.tokens.length} are not numbers; the model's weights are damaged or overflow`,
      );
    }
    const now = performance.now();
    if (decoded.tokens.length > 0) decoded.times.push(now - last);
    last = now;
    decoded.tokens.push(id);
    const ends = !options.ignoreEos && options.eosIds.has(id);
    const piece = ends ? { text: "", stopped: false } : stops.push(stream.push(id));
    decoded.text += piece.text;
    stopped = piece.stopped;
    yield { kind: "token", id, text: piece.text, logProbability: drawnAt };
    if (ends || stopped) {
      decoded.finishReason = "stop";
      break;
    }
    if (decoded.tokens.length === options.maxTokens || sequence.tokens.length + 1 === context) break;
    sequence.step(id);
    if (++sinceSweep >= options.interval) {
      await sweeper.sweep();
      sinceSweep = 0;
    }
  }
  if (!stopped) {
    const rest = stops.push(stream.flush()).text + stops.flush();
    decoded.text += rest;
    if (rest !== "") yield { kind: "rest", text: rest };
  }
}
