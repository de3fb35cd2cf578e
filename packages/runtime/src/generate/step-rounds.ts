import { NOT_A_TOKEN, WinnowError, rows, type DeviceTensor, type SamplingParams } from "@winnow/core-tensor";

import type { Admitted } from "../cache/admission";
import type { Enqueued } from "../cache/enqueued";
import { joinNeeds, type KvNeed } from "../cache/kv-need";
import type { Sequence } from "../cache/sequence";
import { readTokens } from "../cache/step";
import { StepBuffers } from "../cache/step-buffers";
import type { Engine } from "../engine";
import type { Draft } from "./speculation";
import { topTokens, type TokenProbability } from "./top-tokens";

/** Rows of a step with guesses: so many take hardly longer than fewer. */
export const ROWS_WITH_GUESSES = 8;

/** What an answer asks of the next round. */
export interface DrawRequest {
  readonly sequence: Sequence;
  readonly admitted: Admitted;
  readonly sampling: SamplingParams;
  /** Which of several answers to one prompt draws. */
  readonly choice: number;
  /** How many of the likeliest tokens to tell. */
  readonly topTokens: number;
  /** A sweep, or a check before one, that is under way: it is settled with the round. */
  readonly enqueued: Enqueued | null;
  /** Whether the device should read the token as well, because another is to follow. */
  readonly readsOn: boolean;
  /** Guesses to read along where the step has rows to spare; null for none, and where it does not read on. */
  readonly draft: Draft | null;
  readonly signal: AbortSignal | undefined;
}

export interface Drawn {
  readonly id: number;
  /** Natural logarithm of the token's probability at temperature 1, before any filter. */
  readonly logProbability: number;
  /** The likeliest tokens, as many as were asked for. */
  readonly top: readonly TokenProbability[];
}

interface Waiting {
  readonly request: DrawRequest;
  enqueued: Enqueued | null;
  /** What listens to the signal while it is parked. */
  aborted: (() => void) | null;
  readonly resolve: (drawn: readonly Drawn[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Continuous batching (Orca, OSDI 2022, section 3.2): answers that are written at the same time draw and read their tokens
 * together, one round a token, and join and leave between rounds. A round begins when every answer has asked for it; one
 * that is busy with something else, such as a reader that is slow, is waited for no longer than a turn of the event loop.
 *
 * Guessed tokens ride along in the rows of a step that no answer needs: a product of up to eight takes hardly longer than one
 * of fewer, and with eight answers nobody guesses. Nor does an answer whose guesses have no room in the KV budget.
 *
 * Where the KV budget has no room for everybody's next token, the youngest answers wait with their cache on the host, and
 * go on as if nothing had been when there is room again.
 */
export class StepRounds {
  readonly #engine: Engine;
  readonly #waiting: Waiting[] = [];
  /** The longest there first. */
  readonly #parked: Waiting[] = [];
  #members = 0;
  #running = false;
  #resuming = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #buffers: StepBuffers | null = null;

  constructor(engine: Engine) {
    this.#engine = engine;
    engine.admission.onRoom(() => {
      if (this.#parked.length > 0) void this.#resume();
    });
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
   * Draw a token in the next round, and those behind it that were guessed well.
   *
   * @throws WinnowError `numeric` when the sequence's logits are not numbers, `context` when there is no room to read on,
   * `memory` when there is none in the KV budget even for this answer alone, `disposed` when the sequence is, `aborted`
   * after an abort while it is parked, and what the device has to say.
   */
  draw(request: DrawRequest): Promise<readonly Drawn[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, enqueued: request.enqueued, aborted: null, resolve, reject });
      this.#beginIfComplete();
    });
  }

  #beginIfComplete(): void {
    if (this.#running || this.#waiting.length === 0) return;
    if (this.#waiting.length >= this.#members - this.#parked.length) void this.#round();
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
    // In an order that stays, each has the same rows in every round, and its operations come again.
    const asking = this.#waiting.splice(0).sort(byAge);
    try {
      const members = await this.#grow(asking);
      // While room was made, some may have been closed.
      const open = members.filter(isOpen);
      if (open.length > 0) await this.#drawAll(open);
    } catch (error) {
      for (const { reject } of asking) reject(error);
    } finally {
      this.#running = false;
      if (this.#parked.length > 0) void this.#resume();
      this.#beginIfComplete();
    }
  }

  /**
   * Make room for everybody's next token.
   *
   * @returns those who take part: the others were told why not, or are parked.
   */
  async #grow(asking: readonly Waiting[]): Promise<readonly Waiting[]> {
    const { admission, store } = this.#engine;
    if (!admission.limited) return asking.filter(isReady);
    const staying = [...asking];
    for (;;) {
      const need = (): KvNeed => needOf(staying, store.layout.layers);
      const ready = await admission.take(need, () => staying.filter(isReady));
      if (ready !== null) return asking.filter((member) => ready.includes(member));
      const youngest = staying.findLast(({ request }) => request.readsOn);
      if (youngest === undefined) return [];
      staying.splice(staying.indexOf(youngest), 1);
      if (admission.isAlone(youngest.request.admitted)) youngest.reject(admission.tooMuch);
      else await this.#park(youngest).catch(youngest.reject);
    }
  }

  async #park(member: Waiting): Promise<void> {
    const { sequence, admitted, signal } = member.request;
    if (member.enqueued !== null) {
      member.enqueued.settle(await this.#engine.backend.download(member.enqueued.numbers));
      member.enqueued = null;
    }
    await sequence.park();
    admitted.parked = true;
    this.#parked.push(member);
    this.#parked.sort(byAge);
    const aborted = (): void => {
      if (this.#unpark(member)) {
        member.reject(new WinnowError("aborted", "the answer was aborted", { cause: signal?.reason }));
      }
    };
    member.aborted = aborted;
    signal?.addEventListener("abort", aborted);
    if (signal?.aborted === true) aborted();
  }

  /** @returns whether it was parked. */
  #unpark(member: Waiting): boolean {
    const place = this.#parked.indexOf(member);
    if (place < 0) return false;
    this.#parked.splice(place, 1);
    const { admitted, signal } = member.request;
    admitted.parked = false;
    if (member.aborted !== null) signal?.removeEventListener("abort", member.aborted);
    member.aborted = null;
    return true;
  }

  /** Let those who are parked go on, as far as there is room. Never rejects. */
  async #resume(): Promise<void> {
    if (this.#resuming) return;
    this.#resuming = true;
    try {
      for (let next = this.#parked[0]; next !== undefined; next = this.#parked[0]) {
        if (!(await this.#bringBack(next))) break;
      }
    } finally {
      this.#resuming = false;
      this.#beginIfComplete();
    }
  }

  /** @returns whether it is no longer parked. */
  async #bringBack(member: Waiting): Promise<boolean> {
    const { admission, store } = this.#engine;
    const { sequence } = member.request;
    const { layers, heads } = store.layout;
    // A page a head for everybody, so that it need not leave again at once.
    const margin = heads.kvHeads * (this.#waiting.length + 1);
    const withMargin = { pages: new Array<number>(layers).fill(margin), columnPages: margin * layers, bytes: 0 };
    const restore = (): void => {
      if (!this.#unpark(member)) return;
      sequence.restore();
      this.#waiting.push(member);
    };
    try {
      sequence.expectOpen();
      const restored = (): true => (restore(), true);
      if ((await admission.take(() => joinNeeds(sequence.held, withMargin), restored)) !== null) return true;
      if (!admission.allParked) return false;
      if ((await admission.take(() => sequence.held, restored)) !== null) return true;
      throw admission.tooMuch;
    } catch (error) {
      this.#unpark(member);
      member.reject(error);
      return true;
    }
  }

  async #drawAll(members: readonly Waiting[]): Promise<void> {
    const { backend } = this.#engine;
    for (const { request } of members) this.#sample(request);
    const reading = backend.downloadAll(members.flatMap(outputsOf));
    // Should a step fail here, its error is the one to tell of.
    reading.catch(() => undefined);
    const reads = members.map(({ request }) => request).filter(({ readsOn }) => readsOn);
    const drafting = this.#drafting(reads);
    this.#readOn(reads.map(({ sequence }) => sequence));
    for (const { request, draft } of drafting) this.#sampleBehind(request, draft);
    // What is read for nothing would be waited for.
    const readingBehind = drafting.length === 0 ? [] : backend.downloadAll(drafting.flatMap(outputsBehind));
    const [outputs, outputsOfDrafts] = await Promise.all([reading, readingBehind]).catch(async (error: unknown) => {
      // What the step behind it has come to is no later call's to be told.
      if (!(error instanceof WinnowError && error.code === "aborted")) await backend.flush().catch(() => undefined);
      throw error;
    });
    const next = takeInTurn(outputs);
    const nextBehind = takeInTurn(outputsOfDrafts);
    for (const member of members) {
      const own = next(outputsOf(member).length);
      const drafted = drafting.find(({ request }) => request === member.request);
      const behind = drafted === undefined ? [] : nextBehind(outputsBehind(drafted).length);
      try {
        const first = drawnOf(member, own);
        member.resolve(drafted === undefined ? [first] : [first, ...drawnBehind(first, drafted, behind)]);
      } catch (error) {
        // One that was closed meanwhile is no trouble of the others.
        member.reject(error);
      }
    }
  }

  /** Give the rows that nobody needs to those who have guesses. */
  #drafting(requests: readonly DrawRequest[]): readonly Drafted[] {
    const { admission } = this.#engine;
    let spare = this.#mostWithGuesses - requests.length;
    return requests.flatMap((request) => {
      const { sequence, draft } = request;
      const behind = draft?.behind.slice(0, Math.max(0, spare)) ?? [];
      if (draft === null || behind.length === 0 || !admission.fits(sequence.growth(behind.length))) return [];
      spare -= behind.length;
      draft.rows.tokens = behind;
      sequence.draftBehind(draft.rows);
      return [{ request, draft }];
    });
  }

  #sample({ sequence, sampling, choice }: DrawRequest): void {
    this.#engine.backend.sample({
      logits: rows(sequence.logits),
      params: sampling,
      seen: sampling.repetitionPenalty === 1 ? new Uint32Array(0) : Uint32Array.from(sequence.tokens),
      choice,
      position: sequence.tokens.length,
      ...sequence.drawn,
    });
  }

  /** Draw from the rows of the token that is read and of its draft, as if each were what was drawn before it. */
  #sampleBehind({ sequence, sampling, choice }: DrawRequest, { first, rows: draft }: Draft): void {
    const { tokens, logitsAhead } = sequence;
    draft.tokens.forEach((_, i) => {
      const drawn = draft.drawn[i];
      if (drawn === undefined) return;
      this.#engine.backend.sample({
        logits: i === 0 ? rows(logitsAhead) : rows(draft.logits, i - 1, 1),
        params: sampling,
        seen:
          sampling.repetitionPenalty === 1
            ? new Uint32Array(0)
            : Uint32Array.from([...tokens, first, ...draft.tokens.slice(0, i)]),
        choice,
        position: tokens.length + 1 + i,
        ...drawn,
      });
    });
  }

  /** Have the device read the tokens that were just drawn, and what is guessed behind them. */
  #readOn(sequences: readonly Sequence[]): void {
    if (sequences.length === 0) return;
    const { stepRows } = this.#engine.backend;
    for (let first = 0; first < sequences.length; first += stepRows) {
      const some = sequences.slice(first, first + stepRows);
      const guessed = some.reduce((sum, { draft }) => sum + (draft?.tokens.length ?? 0), 0);
      readTokens(this.#engine, some, this.#buffersFor(some.length + guessed));
    }
    this.#engine.backend.submit();
  }

  get #mostWithGuesses(): number {
    return Math.min(ROWS_WITH_GUESSES, this.#engine.backend.stepRows);
  }

  #buffersFor(count: number): StepBuffers {
    if (this.#buffers === null || this.#buffers.capacity < count) {
      this.#buffers?.[Symbol.dispose]();
      // While answers join one by one, new ones are not made for each.
      const doubled = Math.min(2 * (this.#buffers?.capacity ?? 0), this.#engine.backend.stepRows);
      this.#buffers = new StepBuffers(this.#engine, count === 1 ? 1 : Math.max(count, doubled, this.#mostWithGuesses));
    }
    return this.#buffers;
  }
}

/** An answer whose guesses are read in a round. */
interface Drafted {
  readonly request: DrawRequest;
  readonly draft: Draft;
}

/** The longest there first. */
function byAge(a: Waiting, b: Waiting): number {
  return a.request.admitted.number - b.request.admitted.number;
}

function isOpen({ request, reject }: Waiting): boolean {
  try {
    request.sequence.expectOpen();
    return true;
  } catch (error) {
    reject(error);
    return false;
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

function needOf(members: readonly Waiting[], layers: number): KvNeed {
  const none = { pages: new Array<number>(layers).fill(0), columnPages: 0, bytes: 0 };
  const growths = members.filter(({ request }) => request.readsOn).map(({ request }) => request.sequence.growth());
  return growths.reduce<KvNeed>(joinNeeds, none);
}

function outputsOf({ request, enqueued }: Waiting): DeviceTensor[] {
  const { token, logProbability } = request.sequence.drawn;
  return [
    token,
    logProbability,
    ...(enqueued === null ? [] : [enqueued.numbers]),
    ...(request.topTokens === 0 ? [] : [request.sequence.logits]),
  ];
}

/**
 * What the outputs say; the work among them is settled.
 *
 * @throws WinnowError `numeric`, `disposed`
 */
function drawnOf({ request, enqueued }: Waiting, outputs: readonly (Float32Array | Uint32Array)[]): Drawn {
  const [ids, logProbabilities, ...others] = outputs;
  const numbers = enqueued === null ? undefined : others.shift();
  if (numbers !== undefined) enqueued?.settle(numbers);
  const id = ids?.[0] ?? NOT_A_TOKEN;
  if (id === NOT_A_TOKEN) throw notANumber(request.sequence);
  return { id, logProbability: logProbabilities?.[0] ?? NaN, top: topTokens(others[0] ?? [], request.topTokens) };
}

function outputsBehind({ request, draft: { rows: draft } }: Drafted): DeviceTensor[] {
  const drawn = draft.drawn.slice(0, draft.tokens.length);
  return [
    ...drawn.flatMap(({ token, logProbability }) => [token, logProbability]),
    ...(request.topTokens === 0 ? [] : [request.sequence.logitsAhead, draft.logits]),
  ];
}

/** The tokens behind the first that were guessed well: they are read already. */
function drawnBehind(
  first: Drawn,
  { request, draft }: Drafted,
  outputs: readonly (Float32Array | Uint32Array)[],
): Drawn[] {
  const { tokens } = draft.rows;
  const { topTokens: topCount } = request;
  const [ahead, behind] = outputs.slice(2 * tokens.length);
  const vocabulary = ahead?.length ?? 0;
  const found: Drawn[] = [];
  // Its row was read whatever it is; only a penalty took it for what was guessed.
  if (first.id !== draft.first && request.sampling.repetitionPenalty !== 1) return found;
  for (const [i, guess] of tokens.entries()) {
    const id = outputs[2 * i]?.[0];
    if (id !== guess) break;
    const logits = i === 0 ? ahead : behind?.subarray((i - 1) * vocabulary, i * vocabulary);
    found.push({ id, logProbability: outputs[2 * i + 1]?.[0] ?? NaN, top: topTokens(logits ?? [], topCount) });
  }
  return found;
}

/** Take so many of some outputs, and then those behind them. */
function takeInTurn<T>(outputs: readonly T[]): (count: number) => readonly T[] {
  let at = 0;
  return (count) => outputs.slice(at, (at += count));
}

function notANumber({ tokens }: Sequence): WinnowError {
  return new WinnowError(
    "numeric",
    `the logits at position ${tokens.length} are not numbers; the model's weights are damaged or overflow`,
  );
}
