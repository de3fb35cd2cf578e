import {
  lasting,
  rows,
  type AppendSpec,
  type AttendSpec,
  type DeviceTensor,
  type EmbedSpec,
  type MatmulSpec,
  type PagedKv,
  type Rows,
} from "@winnow/core-tensor";

import type { Engine } from "../engine";
import type { DecoderWorkspace, LayerOperation } from "../models/decoder";
import { rotationOfLayer } from "../models/rotaries";
import type { LayerCache } from "./layer-cache";

/** The tensors of a step. */
export interface StepTensors {
  readonly positions: DeviceTensor;
  readonly rotations: readonly DeviceTensor[];
  readonly hidden: DeviceTensor;
  readonly workspace: DecoderWorkspace;
}

/** What a layer does to the rows of a step before its attention and behind it. */
export interface LayerOperations {
  readonly projection: readonly LayerOperation[];
  readonly completion: readonly LayerOperation[];
}

/** How rows of a sequence come into a layer's cache, and what they see there. */
export interface LayerReading {
  readonly append: AppendSpec;
  readonly attend: AttendSpec;
}

/** Rows of a step that one sequence has. */
export interface StepRows {
  readonly first: number;
  readonly count: number;
  /** Of the first; the others follow one by one. */
  readonly position: number;
  /** Whether what their weights add up to is stored. */
  readonly accumulates: boolean;
}

/** How a sequence's rows were read in a layer since its pages last changed. */
interface KeptReadings {
  readonly kv: PagedKv;
  readonly byRows: Map<string, LayerReading>;
}

/**
 * The specifications of a step, which are the same for token after token: each is made once for its rows and tensors, and
 * lasts, so that a backend knows it again.
 */
export class StepOperations {
  /** By the number of rows, then by layer. */
  readonly #layers = new Map<number, readonly LayerOperations[]>();
  readonly #readings = new WeakMap<LayerCache, KeptReadings>();
  /** By the tensor of the ids. */
  readonly #embeddings = new WeakMap<DeviceTensor, EmbedSpec>();
  /** By the tensor of the logits. */
  readonly #predictions = new WeakMap<DeviceTensor, MatmulSpec>();

  constructor(
    private readonly engine: Engine,
    private readonly tensors: StepTensors,
  ) {}

  /** The layers' operations on this many rows. */
  layers(count: number): readonly LayerOperations[] {
    const known = this.#layers.get(count);
    if (known !== undefined) return known;
    const { decoder } = this.engine;
    const { workspace } = this.tensors;
    const hidden = rows(this.tensors.hidden, 0, count);
    const attended = rows(workspace.attended, 0, count);
    const qkv = rows(workspace.qkv, 0, count);
    const made = decoder.weights.layers.map((weights) => ({
      projection: decoder.projection(weights, hidden, qkv).map(lastingOperation),
      completion: decoder.completion(weights, attended, hidden, workspace).map(lastingOperation),
    }));
    this.#layers.set(count, made);
    return made;
  }

  /** How rows of a sequence are read in layer number `l`, which is `layer` in that sequence. */
  reading(l: number, layer: LayerCache, step: StepRows): LayerReading {
    const kv = layer.paged;
    let kept = this.#readings.get(layer);
    if (kept?.kv !== kv) {
      kept = { kv, byRows: new Map() };
      this.#readings.set(layer, kept);
    }
    const key = `${step.first} ${step.count} ${step.accumulates ? 1 : 0}`;
    const known = kept.byRows.get(key);
    if (known !== undefined) return known;
    const made = this.#readingOf(l, kv, step);
    if (made.attend.window !== undefined) return made;
    lasting(made.append);
    lasting(made.attend);
    kept.byRows.set(key, made);
    return made;
  }

  /** hidden rows from `first` on = what the embedding has for the first `count` ids. */
  embedding(ids: DeviceTensor, first: number, count: number): EmbedSpec {
    const known = this.#embeddings.get(ids);
    if (known?.out.start === first && known.out.count === count) return known;
    const hidden = rows(this.tensors.hidden, first, count);
    const spec = lasting(this.engine.decoder.embedding(rows(ids, 0, count), hidden));
    this.#embeddings.set(ids, spec);
    return spec;
  }

  /** Logits of the first `count` rows. */
  prediction(logits: DeviceTensor, count: number): MatmulSpec {
    const known = this.#predictions.get(logits);
    if (known?.out.count === count) return known;
    const hidden = rows(this.tensors.hidden, 0, count);
    const spec = lasting(this.engine.decoder.prediction(hidden, rows(logits, 0, count)));
    this.#predictions.set(logits, spec);
    return spec;
  }

  #readingOf(l: number, kv: PagedKv, { first, count, position, accumulates }: StepRows): LayerReading {
    const { decoder } = this.engine;
    const { positions, rotations, workspace } = this.tensors;
    const of = (tensor: DeviceTensor): Rows => rows(tensor, first, count);
    const sight = decoder.sight(l);
    return {
      append: {
        heads: decoder.shape.heads,
        qkv: of(workspace.qkv),
        rotation: of(rotationOfLayer(this.engine, rotations, l)),
        into: { kind: "pages", paged: kv, positions: of(positions) },
      },
      attend: {
        ...sight,
        qkv: of(workspace.qkv),
        out: of(workspace.attended),
        groups: [
          {
            start: 0,
            count,
            // Nobody asks without a window, and with every token it is another.
            ...(sight.window === undefined ? {} : { position }),
            paged: { kv, appended: count },
          },
        ],
        accumulate: accumulates,
      },
    };
  }
}

function lastingOperation(operation: LayerOperation): LayerOperation {
  lasting(operation.spec);
  return operation;
}
