import type { SamplingParams } from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import type { Admitted } from "../cache/admission";
import type { Enqueued } from "../cache/enqueued";
import type { Sequence } from "../cache/sequence";
import type { Sweeper } from "../cache/sweep";
import { SweepCycle } from "../cache/sweep-cycle";
import type { Tokenizer } from "../tokenizer";
import type { Drawn, StepRounds } from "./step-rounds";
import type { StopStrings } from "./stop-strings";
import type { TokenProbability } from "./top-tokens";
import type { FinishReason } from "./report";
import type { Speculation } from "./speculation";

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
  /** Guesses what comes next; null for an answer that is drawn token by token. */
  readonly speculation: Speculation | null;
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

/** A token that was drawn, with what it adds to the answer. */
interface DrawnPiece extends Drawn {
  readonly text: string;
  /** Whether it ends the answer. */
  readonly ends: boolean;
}

/**
 * Draw tokens over a sequence's cache until something ends it, at the latest when they and the prompt fill the context.
 * While a token is on its way to the host, the device reads it already; that is taken back if the token ends the answer.
 * So the last token drawn is not read: its row is computed when the sequence goes on. Guesses of what follows are read with
 * it, as far as the answer may go and the cache stays as it is: up to the next sweep, or the check before it.
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
  const { stops, admitted, sampling, choice, topTokens, speculation, signal } = options;
  const stream = tokenizer.stream();
  const cycle = new SweepCycle(sweeper, options.interval);
  let enqueued: Enqueued | null = null;
  let stopped = false;
  decoded.finishReason = "length";
  let last = performance.now();
  const { context } = sequence.engine;
  for (;;) {
    const left = Math.min(options.maxTokens - decoded.tokens.length, context - sequence.tokens.length);
    if (left <= 0) break;
    throwIfAborted(signal, "the answer");
    const readsOn = left > 1;
    // The last token of an answer is not read.
    const draft = speculation?.propose(Math.min(left - 1, cycle.mostAtOnce)) ?? null;
    const request = { sequence, admitted, sampling, choice, topTokens, enqueued, readsOn, draft, signal };
    const drawn = await rounds.draw(request);
    const pieces: DrawnPiece[] = [];
    for (const token of drawn) {
      const ends = !options.ignoreEos && options.eosIds.has(token.id);
      const piece = ends ? { text: "", stopped: false } : stops.push(stream.push(token.id));
      pieces.push({ ...token, text: piece.text, ends: ends || piece.stopped });
      stopped = piece.stopped;
      if (ends || stopped) break;
    }
    const ids = pieces.map(({ id }) => id);
    speculation?.note(sequence.draft?.tokens.length ?? 0, ids);
    const ends = pieces.at(-1)?.ends === true;
    if (ends && readsOn) sequence.accept(ids.slice(0, -1));
    for (const [i, { id, text, logProbability, top }] of pieces.entries()) {
      if (i > 0 && signal?.aborted === true) {
        // What nobody was told of is no part of what the report counts.
        if (sequence.draft !== null) sequence.takeBack();
        throwIfAborted(signal, "the answer");
      }
      const now = performance.now();
      if (decoded.tokens.length > 0) decoded.times.push(now - last);
      last = now;
      decoded.tokens.push(id);
      decoded.text += text;
      yield { kind: "token", id, text, logProbability, top };
    }
    if (ends) decoded.finishReason = "stop";
    if (ends || !readsOn) break;
    sequence.accept(ids);
    for (const _ of ids) enqueued = await cycle.afterToken();
  }
  if (!stopped) {
    const rest = stops.push(stream.flush()).text + stops.flush();
    decoded.text += rest;
    if (rest !== "") yield { kind: "rest", text: rest };
  }
}
