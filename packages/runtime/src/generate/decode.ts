import type { SamplingParams } from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import type { Admitted } from "../cache/admission";
import type { Enqueued } from "../cache/enqueued";
import type { Sequence } from "../cache/sequence";
import type { Sweeper } from "../cache/sweep";
import { SweepCycle } from "../cache/sweep-cycle";
import type { Tokenizer } from "../tokenizer";
import type { StepRounds } from "./step-rounds";
import type { StopStrings } from "./stop-strings";
import type { TokenProbability } from "./top-tokens";
import type { FinishReason } from "./report";

/** What a generation says as it goes. */
export type GenerationEvent =
  /** A token was drawn; `text` is what is certain of the answer now that was not before. */
  | {
      readonly kind: "token";
      readonly id: number;
      readonly text: string;
      readonly logProbability: number;
      /** The likeliest tokens at its place, as many as were asked for. */
      readonly top: readonly TokenProbability[];
    }
  /** The end of the answer, held back until it was certain that no stop string follows. */
  | { readonly kind: "rest"; readonly text: string };

export interface DecodeOptions {
  readonly admitted: Admitted;
  readonly sampling: SamplingParams;
  readonly choice: number;
  readonly topTokens: number;
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
 * While a token is on its way to the host, the device reads it already; that is taken back if the token ends the answer.
 * So the last token drawn is not read: its row is computed when the sequence goes on.
 *
 * @throws WinnowError `numeric` when logits are not numbers.
 */
export async function* decode(
  sequence: Sequence,
  sweeper: Sweeper,
  rounds: StepRounds,
  tokenizer: Tokenizer,
  options: DecodeOptions,
  decoded: Decoded,
): AsyncGenerator<GenerationEvent, void, undefined> {
  using _ = rounds.join();
  const { stops, admitted, sampling, choice, topTokens, signal } = options;
  const stream = tokenizer.stream();
  const cycle = new SweepCycle(sweeper, options.interval);
  let enqueued: Enqueued | null = null;
  let stopped = false;
  decoded.finishReason = "length";
  let last = performance.now();
  const { context } = sequence.engine;
  while (decoded.tokens.length < options.maxTokens && sequence.tokens.length < context) {
    throwIfAborted(signal, "the answer");
    const isLast = decoded.tokens.length + 1 === options.maxTokens || sequence.tokens.length + 1 === context;
    const request = { sequence, admitted, sampling, choice, topTokens, enqueued, readsOn: !isLast, signal };
    const { id, logProbability, top } = await rounds.draw(request);
    const now = performance.now();
    if (decoded.tokens.length > 0) decoded.times.push(now - last);
    last = now;
    decoded.tokens.push(id);
    const ends = !options.ignoreEos && options.eosIds.has(id);
    const piece = ends ? { text: "", stopped: false } : stops.push(stream.push(id));
    decoded.text += piece.text;
    stopped = piece.stopped;
    if (!isLast && (ends || stopped)) sequence.takeBack();
    yield { kind: "token", id, text: piece.text, logProbability, top };
    if (ends || stopped) decoded.finishReason = "stop";
    if (ends || stopped || isLast) break;
    sequence.accept(id);
    enqueued = await cycle.afterToken();
  }
  if (!stopped) {
    const rest = stops.push(stream.flush()).text + stops.flush();
    decoded.text += rest;
    if (rest !== "") yield { kind: "rest", text: rest };
  }
}
