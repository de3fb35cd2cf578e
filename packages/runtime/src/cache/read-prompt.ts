import { WinnowError, rows, tensor, type AttendGroup, type DeviceTensor, type KvScratch } from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import type { Engine } from "../engine";
import { DecoderWorkspace } from "../models/decoder";
import { rotationOfLayer } from "../models/rotaries";
import { rotationOf } from "../models/rope";
import type { PromptCut } from "./prompt-cut";
import type { ReadingUnit } from "./reading-unit";
import type { Sequence } from "./sequence";

/** Rows of logits that leave the device at a time. */
const SCORED_ROWS = 32;

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called as units are finished, of `total` in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** What is thought to follow rows of the prompt, not only the newest one. */
  readonly score?: RowScores | undefined;
}

export interface RowScores {
  /** The first row, counted from the first new token. */
  readonly from: number;
  /** Called with logits f32 [rows, vocabulary] of some rows, `first` and those behind it, in order, once all layers are read. */
  readonly onLogits: (first: number, logits: Float32Array) => void;
}

/**
 * Extend a sequence by new tokens, layer by layer: all new rows of a layer are attended to over its kept slots
 * and each other, then the layer is cut, and only what is kept goes into pages. So an uncut layer exists once,
 * in a scratch that every layer reuses.
 *
 * Rows of a probe ride along behind the prompt's. Each of its chunks sees the prompt and itself, at the positions
 * that follow the prompt; the next chunk takes the place of its keys and values.
 *
 * @param makeCut makes what cuts the layers, once the sequence knows of the new tokens.
 */
export async function readPrompt(
  sequence: Sequence,
  ids: readonly number[],
  probe: readonly (readonly number[])[],
  makeCut: () => PromptCut,
  options: ReadOptions,
): Promise<{ readonly profileMs: number }> {
  const { engine } = sequence;
  const { backend, decoder } = engine;
  sequence.expectRoom(ids.length);
  const units = unitsOf(ids.length, probe, engine.unitRows);
  using reading = new Reading(sequence, ids, probe, units);
  sequence.promptTokens += ids.length;
  sequence.push(ids);
  using cut = makeCut();
  const scratchBytes = reading.scratch.k.bytes + reading.scratch.v.bytes;
  sequence.noteBytes(scratchBytes);

  try {
    decoder.embed(rows(reading.ids), rows(reading.hidden));
    const total = units.length * sequence.layers.length;
    let done = 0;
    // The host is one unit ahead, so that the device does not wait for it.
    let under: Promise<void> = Promise.resolve();
    for (const [l, layer] of sequence.layers.entries()) {
      const weights = decoder.weights.layers[l];
      if (weights === undefined) throw new WinnowError("model", `layer ${l} has no weights`);
      const last = l === sequence.layers.length - 1;
      cut.beginLayer();
      for (const unit of units) {
        throwIfAborted(options.signal, "reading the prompt");
        if (unit.kind === "probe") await under;
        const started = performance.now();
        const hidden = rows(reading.hidden, unit.start, unit.count);
        const qkv = decoder.projectQkv(weights, hidden, reading.workspace);
        if (cut.watchesQueries) await cut.watch(unit, qkv);
        const { heads } = decoder.shape;
        backend.append({
          heads,
          qkv,
          rotation: rows(rotationOfLayer(engine, reading.rotations, l), unit.start, unit.count),
          into: { kind: "scratch", scratch: reading.scratch, at: unit.at },
        });
        const attended = rows(reading.workspace.attended, 0, unit.count);
        const record = cut.record(unit, reading.positions);
        backend.attend({
          ...decoder.sight(l),
          qkv,
          out: attended,
          groups: [reading.group(unit, layer.paged)],
          ...(record === null ? {} : { record }),
        });
        if (!last) decoder.finishLayer(weights, attended, hidden, reading.workspace);
        else reading.finishRows(unit, weights, Math.min(options.score?.from ?? Infinity, ids.length - 1));
        const before = under;
        under = backend.flush().then(() => options.onProgress?.(++done, total));
        // Awaited below, or else what was thrown meanwhile is the error to tell of.
        under.catch(() => undefined);
        await (unit.kind === "probe" ? under : before);
        if (unit.kind === "probe") cut.spentMs += performance.now() - started;
      }
      await under;
      await cut.cutLayer(l, reading.scratch, reading.positions, scratchBytes);
    }
    await cut.finish();
    decoder.predict(rows(reading.hidden, ids.length - 1, 1), rows(sequence.logits));
    // What an interrupt drops from here on is no longer the prompt's.
    await backend.flush();
    if (options.score !== undefined) await reading.score(options.score);
  } finally {
    sequence.noteBytes(0);
  }
  return { profileMs: cut.spentMs };
}

/** Fixed boundaries, whatever else is read: the prompt and each chunk of the probe by `unitRows`. */
function unitsOf(promptRows: number, probe: readonly (readonly number[])[], unitRows: number): ReadingUnit[] {
  const units: ReadingUnit[] = [];
  let first = 0;
  const add = (kind: ReadingUnit["kind"], count: number, at: number): void => {
    for (let row = 0; row < count; row += unitRows) {
      units.push({ kind, start: first + row, count: Math.min(unitRows, count - row), at: at + row });
    }
    first += count;
  };
  add("prompt", promptRows, 0);
  for (const chunk of probe) add("probe", chunk.length, promptRows);
  return units;
}

/** Memory that lives while a prompt is read. */
class Reading implements Disposable {
  readonly ids: DeviceTensor;
  readonly positions: DeviceTensor;
  /** By each of the model's rotaries. */
  readonly rotations: readonly DeviceTensor[];
  readonly hidden: DeviceTensor;
  readonly scratch: KvScratch;
  readonly workspace: DecoderWorkspace;
  readonly #engine: Engine;
  readonly #promptRows: number;
  /** Tokens that were read before. */
  readonly #base: number;

  constructor(
    sequence: Sequence,
    ids: readonly number[],
    probe: readonly (readonly number[])[],
    units: readonly ReadingUnit[],
  ) {
    const { backend, decoder, rotaries } = sequence.engine;
    this.#engine = sequence.engine;
    this.#promptRows = ids.length;
    const base = sequence.tokens.length;
    this.#base = base;
    const allIds = [ids, ...probe].flat();
    const positions = [
      ...ids.map((_, i) => base + i),
      ...probe.flatMap((chunk) => chunk.map((_, i) => base + ids.length + i)),
    ];
    const count = allIds.length;
    const { heads, width } = decoder.shape;
    const options = { label: "reading", category: "activations" } as const;
    const type = sequence.engine.store.scratchType;
    const scratchRows = Math.max(...units.map((unit) => unit.at + unit.count));
    const scratchShape = [heads.kvHeads, scratchRows, heads.headDim];
    this.ids = backend.upload(tensor("u32", [count], Uint32Array.from(allIds)), options);
    this.positions = backend.upload(tensor("u32", [count], Uint32Array.from(positions)), options);
    this.rotations = rotaries.all.map((rotary) =>
      backend.upload(tensor("f32", [count, heads.headDim], rotationOf(positions, rotary)), options),
    );
    this.hidden = backend.allocate("f32", [count, width], options);
    this.scratch = {
      k: backend.allocate(type, scratchShape, { label: "kv.scratch", category: "kv" }),
      v: backend.allocate(type, scratchShape, { label: "kv.scratch", category: "kv" }),
    };
    this.workspace = new DecoderWorkspace(backend, decoder.shape, Math.max(...units.map((unit) => unit.count)));
  }

  /** What the rows of a unit see. */
  group(unit: ReadingUnit, kv: AttendGroupKv): AttendGroup {
    const { scratch } = this;
    return {
      start: 0,
      count: unit.count,
      paged: { kv, appended: 0 },
      context: { scratch, start: 0, count: unit.at },
      own: { scratch, start: unit.at },
      // Scratch rows stand one behind the other, a chunk of a probe where the prompt ends.
      position: this.#base + unit.at,
    };
  }

  /** In the last layer only some of the prompt's rows are needed any further: those from `from` on. */
  finishRows(unit: ReadingUnit, weights: Parameters<Engine["decoder"]["finishLayer"]>[0], from: number): void {
    const start = Math.max(unit.start, from);
    const count = Math.min(unit.start + unit.count, this.#promptRows) - start;
    if (count <= 0) return;
    const attended = rows(this.workspace.attended, start - unit.start, count);
    this.#engine.decoder.finishLayer(weights, attended, rows(this.hidden, start, count), this.workspace);
  }

  async score({ from, onLogits }: RowScores): Promise<void> {
    const { backend, decoder } = this.#engine;
    using logits = backend.allocate("f32", [SCORED_ROWS, decoder.shape.vocabulary], {
      label: "scores",
      category: "activations",
    });
    for (let first = from; first < this.#promptRows; first += SCORED_ROWS) {
      const count = Math.min(SCORED_ROWS, this.#promptRows - first);
      decoder.predict(rows(this.hidden, first, count), rows(logits, 0, count));
      const found = await backend.download(logits, 0, count * decoder.shape.vocabulary);
      if (found instanceof Float32Array) onLogits(first, found);
    }
  }

  [Symbol.dispose](): void {
    this.workspace[Symbol.dispose]();
    const tensors = [this.ids, this.positions, ...this.rotations, this.hidden, this.scratch.k, this.scratch.v];
    for (const tensor of tensors) tensor[Symbol.dispose]();
  }
}

type AttendGroupKv = NonNullable<AttendGroup["paged"]>["kv"];
