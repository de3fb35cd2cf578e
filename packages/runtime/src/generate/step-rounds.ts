import { NOT_A_TOKEN, WinnowError, rows, type DeviceTensor, type SamplingParams } from "@winnow/core-tensor";

import type { Sequence } from "../cache/sequence";
import { readTokens } from "../cache/step";
import { StepBuffers } from "../cache/step-buffers";
import type { Engine } from "../engine";

/** Rows of a product that do not depend on how many they are. */
const TOGETHER = 8;

/** What an answer asks of the next round. */
export interface DrawRequest {
  readonly sequence: Sequence;
  readonly sampling: SamplingParams;
  /** Counts of a sweep that is under way. */
  readonly kept: DeviceTensor | null;
  /** Whether the device should read the token as well, because another is to follow. */
  readonly readsOn: boolean;
}

export interface Drawn {
  readonly id: number;
  /** Natural logarithm of the token's probability at temperature 1, before any filter. */
  readonly logProbability: number;
  readonly kept: ArrayLike<number> | null;
}

interface Waiting {
  readonly request: DrawRequest;
  readonly resolve: (drawn: Drawn) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Continuous batching (Orca, OSDI 2022, section 3.2): answers that are written at the same time draw and read their tokens
 * together, one round a token, and join and leave between rounds. A round begins when every answer has asked for it; one
 * that is busy with something else, such as a reader that is slow, is waited for no longer than a turn of the event loop.
 */
export class StepRounds {
  readonly #engine: Engine;
  readonly #waiting: Waiting[] = [];
  #members = 0;
  #running = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #buffers: StepBuffers | null = null;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Take part from now on, until what is returned is disposed. */
  join(): Disposable {
    this.#members++;
    return {
      [Symbol.dispose]: () => {
        this.#members--;
        if (this.#members > 0) this.#beginIfComplete();
        else {
          this.#buffers?.[Symbol.dispose]();
          this.#buffers = null;
        }
      },
    };
  }

  /**
   * Draw a token in the next round.
   *
   * @throws WinnowError `numeric` when the sequence's logits are not numbers, `context` when there is no room to read on,
   * `disposed` when the sequence is, and what the device has to say.
   */
  draw(request: DrawRequest): Promise<Drawn> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      this.#beginIfComplete();
    });
  }

  #beginIfComplete(): void {
    if (this.#running || this.#waiting.length === 0) return;
    if (this.#waiting.length >= this.#members) void this.#round();
    else {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        if (!this.#running && this.#waiting.length > 0) void this.#round();
      }, 0);
    }
  }

  /** Never rejects: what goes wrong is told to those who asked. */
  async #round(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#running = true;
    const members = this.#waiting.splice(0).filter(isReady);
    try {
      if (members.length > 0) await this.#drawAll(members);
    } catch (error) {
      for (const { reject } of members) reject(error);
    } finally {
      this.#running = false;
      this.#beginIfComplete();
    }
  }

  async #drawAll(members: readonly Waiting[]): Promise<void> {
    const { backend } = this.#engine;
    for (const { request } of members) this.#sample(request);
    const reading = backend.downloadAll(members.flatMap(({ request }) => outputsOf(request)));
    // Should a step fail here, its error is the one to tell of.
    reading.catch(() => undefined);
    this.#readOn(members.filter(({ request }) => request.readsOn).map(({ request }) => request.sequence));
    const outputs = await reading.catch(async (error: unknown) => {
      // What the step behind it has come to is no later call's to be told.
      if (!(error instanceof WinnowError && error.code === "aborted")) await backend.flush().catch(() => undefined);
      throw error;
    });
    let at = 0;
    for (const { request, resolve, reject } of members) {
      const [ids, logProbabilities, kept] = outputs.slice(at, (at += outputsOf(request).length));
      const id = ids?.[0] ?? NOT_A_TOKEN;
      if (id === NOT_A_TOKEN) reject(notANumber(request.sequence));
      else resolve({ id, logProbability: logProbabilities?.[0] ?? NaN, kept: kept ?? null });
    }
  }

  #sample({ sequence, sampling }: DrawRequest): void {
    this.#engine.backend.sample({
      logits: rows(sequence.logits),
      params: sampling,
      seen: sampling.repetitionPenalty === 1 ? new Uint32Array(0) : Uint32Array.from(sequence.tokens),
      choice: 0,
      position: sequence.tokens.length,
      ...sequence.drawn,
    });
  }

  /** Have the device read the tokens that were just drawn. */
  #readOn(sequences: readonly Sequence[]): void {
    if (sequences.length === 0) return;
    for (let first = 0; first < sequences.length; first += TOGETHER) {
      const some = sequences.slice(first, first + TOGETHER);
      readTokens(this.#engine, some, this.#buffersFor(some.length));
    }
    this.#engine.backend.submit();
  }

  #buffersFor(count: number): StepBuffers {
    if (this.#buffers === null || this.#buffers.capacity < count) {
      this.#buffers?.[Symbol.dispose]();
      this.#buffers = new StepBuffers(this.#engine, count === 1 ? 1 : TOGETHER);
    }
    return this.#buffers;
  }
}

/** Whether a sequence can take part; one that cannot is told so, and the others go on. */
function isReady({ request, reject }: Waiting): boolean {
  try {
    if (request.readsOn) request.sequence.grow();
    else request.sequence.expectOpen();
    return true;
  } catch (error) {
    reject(error);
    return false;
  }
}

function outputsOf({ sequence, kept }: DrawRequest): DeviceTensor[] {
  const { token, logProbability } = sequence.drawn;
  return kept === null ? [token, logProbability] : [token, logProbability, kept];
}

function notANumber({ tokens }: Sequence): WinnowError {
  return new WinnowError(
    "numeric",
    `the logits at position ${tokens.length} are not numbers; the model's weights are damaged or overflow`,
  );
}
