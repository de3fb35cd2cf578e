import { NOT_A_TOKEN, WinnowError, rows, type SamplingParams } from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import type { Sequence } from "../cache/sequence";
import type { EnqueuedSweep, Sweeper } from "../cache/sweep";
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
 * While a token is on its way to the host, the device reads it already; that is taken back if the token ends the answer.
 * So the last token drawn is not read: its row is computed when the sequence goes on.
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
  const { stops } = options;
  const stream = tokenizer.stream();
  let sinceSweep = 0;
  let sweep: EnqueuedSweep | null = null;
  let stopped = false;
  decoded.finishReason = "length";
  let last = performance.now();
  const { context } = sequence.engine;
  while (decoded.tokens.length < options.maxTokens && sequence.tokens.length < context) {
    throwIfAborted(options.signal, "the answer");
    const isLast = decoded.tokens.length + 1 === options.maxTokens || sequence.tokens.length + 1 === context;
    const { id, logProbability } = await draw(sequence, sweep, options.sampling, !isLast);
    sweep = null;
    const now = performance.now();
    if (decoded.tokens.length > 0) decoded.times.push(now - last);
    last = now;
    decoded.tokens.push(id);
    const ends = !options.ignoreEos && options.eosIds.has(id);
    const piece = ends ? { text: "", stopped: false } : stops.push(stream.push(id));
    decoded.text += piece.text;
    stopped = piece.stopped;
    if (!isLast && (ends || stopped)) sequence.takeBack();
    yield { kind: "token", id, text: piece.text, logProbability };
    if (ends || stopped) decoded.finishReason = "stop";
    if (ends || stopped || isLast) break;
    sequence.accept(id);
    if (++sinceSweep >= options.interval) {
      sweep = await sweeper.enqueue();
      sinceSweep = 0;
    }
  }
  if (!stopped) {
    const rest = stops.push(stream.flush()).text + stops.flush();
    decoded.text += rest;
    if (rest !== "") yield { kind: "rest", text: rest };
  }
}

/**
 * Draw a token, and have the device read it if another is to follow.
 *
 * @param sweep one that is under way, to be settled.
 */
async function draw(
  sequence: Sequence,
  sweep: EnqueuedSweep | null,
  sampling: SamplingParams,
  readsOn: boolean,
): Promise<{ readonly id: number; readonly logProbability: number }> {
  const { backend } = sequence.engine;
  const position = sequence.tokens.length;
  const { token, logProbability } = sequence.drawn;
  backend.sample({
    logits: rows(sequence.logits),
    params: sampling,
    seen: sampling.repetitionPenalty === 1 ? new Uint32Array(0) : Uint32Array.from(sequence.tokens),
    choice: 0,
    position,
    token,
    logProbability,
  });
  const reading = backend.downloadAll([token, logProbability, ...(sweep === null ? [] : [sweep.kept])]);
  if (readsOn) {
    // Should the step fail here, its error is the one to tell of.
    reading.catch(() => undefined);
    sequence.stepAhead();
    backend.submit();
  }
  const [ids, logProbabilities, kept] = await reading.catch(async (error: unknown) => {
    // What the step behind it has come to is no later call's to be told.
    if (!(error instanceof WinnowError && error.code === "aborted")) await backend.flush().catch(() => undefined);
    throw error;
  });
  if (sweep !== null && kept !== undefined) sweep.settle(kept);
  const id = ids?.[0] ?? NOT_A_TOKEN;
  if (id === NOT_A_TOKEN) {
    throw new WinnowError(
      "numeric",
      `the logits at position ${position} are not numbers; the model's weights are damaged or overflow`,
    );
  }
  return { id, logProbability: logProbabilities?.[0] ?? NaN };
}
