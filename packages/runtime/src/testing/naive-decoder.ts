import type { DeviceTensor } from "@winnow/core-tensor";

import type { Model } from "../model";
import type { Linear } from "../models/linear";

/** What a row of a sequence sees, and where it stands. */
export interface Sight {
  /** Whether a row attends to a column, both by their place among all tokens. */
  readonly sees: (layer: number, kvHead: number, row: number, column: number) => boolean;
  /** The position that a row's query and key are rotated to. */
  readonly positionOf?: (row: number) => number;
  /** Told of every query head's row: its query before rotation, and the weights of the columns that it sees, in order. */
  readonly onRow?: (
    layer: number,
    queryHead: number,
    row: number,
    query: Float64Array,
    weights: readonly number[],
  ) => void;
}

type Vector = Float64Array;
type Matrix = (x: Vector) => Vector;

interface Layer {
  readonly attentionNorm: Vector;
  readonly qkv: Matrix;
  /** [queryHeads + kvHeads, headDim] */
  readonly queryKeyNorm: Vector | null;
  readonly output: Matrix;
  readonly attentionPostNorm: Vector | null;
  readonly feedForwardNorm: Vector;
  readonly gateUp: Matrix;
  readonly down: Matrix;
  readonly feedForwardPostNorm: Vector | null;
}

function sideBySide(parts: readonly Matrix[]): Matrix {
  return (x) => Float64Array.from(parts.flatMap((part) => [...part(x)]));
}

/** A decoder in float64 with an explicit mask: no cache, no pages, no slots. */
export class NaiveDecoder {
  private constructor(
    private readonly model: Model,
    private readonly embedding: Vector,
    private readonly layers: readonly Layer[],
    private readonly norm: Vector,
    private readonly head: Matrix,
  ) {}

  static async of(model: Model): Promise<NaiveDecoder> {
    const { backend, decoder } = model.engine;
    const { weights } = decoder;
    const vector = async (tensor: DeviceTensor): Promise<Vector> => Float64Array.from(await backend.download(tensor));
    const vectorIf = (tensor: DeviceTensor | null): Promise<Vector | null> =>
      tensor === null ? Promise.resolve(null) : vector(tensor);
    const matrix = async ({ weight, bias }: Linear): Promise<Matrix> => {
      const rows = await vector(weight);
      const added = bias === null ? null : await vector(bias);
      const [outputs = 0, inputs = 0] = weight.shape;
      return (x) =>
        Float64Array.from({ length: outputs }, (_, o) => {
          let sum = added?.[o] ?? 0;
          for (let i = 0; i < inputs; i++) sum += (rows[o * inputs + i] ?? NaN) * (x[i] ?? NaN);
          return sum;
        });
    };
    const layers: Layer[] = [];
    for (const layer of weights.layers) {
      layers.push({
        attentionNorm: await vector(layer.attentionNorm),
        qkv: sideBySide(await Promise.all(layer.qkv.map(matrix))),
        queryKeyNorm: await vectorIf(layer.queryKeyNorm),
        output: await matrix(layer.output),
        attentionPostNorm: await vectorIf(layer.attentionPostNorm),
        feedForwardNorm: await vector(layer.feedForwardNorm),
        gateUp: await matrix(layer.gateUp),
        down: await matrix(layer.down),
        feedForwardPostNorm: await vectorIf(layer.feedForwardPostNorm),
      });
    }
    const embedding = await vector(weights.embedding);
    return new NaiveDecoder(
      model,
      embedding,
      layers,
      await vector(weights.norm),
      await matrix({ weight: weights.head, bias: null }),
    );
  }

  /** The logits of each row from `first` on. */
  logits(tokens: readonly number[], first: number, { sees, positionOf = (row) => row, onRow }: Sight): Vector[] {
    const { shape } = this.model.engine.decoder;
    const { queryHeads, kvHeads, headDim } = shape.heads;
    const hidden = tokens.map((id) =>
      this.embedding.slice(id * shape.width, (id + 1) * shape.width).map((value) => value * shape.embeddingScale),
    );
    this.layers.forEach((layer, l) => {
      const rows = hidden.map((x, row) => {
        const qkv = layer.qkv(this.normed(x, layer.attentionNorm));
        const heads = Array.from({ length: queryHeads + 2 * kvHeads }, (_, head) =>
          qkv.slice(head * headDim, (head + 1) * headDim),
        );
        const rotated = heads.slice(0, queryHeads + kvHeads).map((head, h) => {
          const weight = layer.queryKeyNorm?.slice(h * headDim, (h + 1) * headDim);
          return this.rotated(weight === undefined ? head : this.normed(head, weight), l, positionOf(row));
        });
        return { heads, rotated, values: heads.slice(queryHeads + kvHeads) };
      });
      hidden.forEach((x, row) => {
        const attended = new Float64Array(queryHeads * headDim);
        for (let head = 0; head < queryHeads; head++) {
          const kv = Math.floor((head * kvHeads) / queryHeads);
          const columns = [...rows.keys()].filter((column) => sees(l, kv, row, column));
          const query = rows[row]?.rotated[head];
          const scores = columns.map((column) =>
            capped(dot(query, rows[column]?.rotated[queryHeads + kv]) * shape.attentionScale, shape.scoreCap),
          );
          const weights = softmax(scores);
          onRow?.(l, head, row, rows[row]?.heads[head] ?? new Float64Array(0), weights);
          columns.forEach((column, c) => {
            rows[column]?.values[kv]?.forEach((value, i) => {
              const at = head * headDim + i;
              attended[at] = (attended[at] ?? 0) + (weights[c] ?? NaN) * value;
            });
          });
        }
        add(x, this.normedIf(layer.output(attended), layer.attentionPostNorm));
        const gateUp = layer.gateUp(this.normed(x, layer.feedForwardNorm));
        const gated = gateUp.slice(0, shape.feedForward).map((gate, i) => {
          return (shape.activation === "silu-gate" ? silu(gate) : gelu(gate)) * (gateUp[shape.feedForward + i] ?? NaN);
        });
        add(x, this.normedIf(layer.down(gated), layer.feedForwardPostNorm));
      });
    });
    return hidden
      .slice(first)
      .map((x) => this.head(this.normed(x, this.norm)).map((logit) => capped(logit, shape.logitCap)));
  }

  private normedIf(x: Vector, weight: Vector | null): Vector {
    return weight === null ? x : this.normed(x, weight);
  }

  private normed(x: Vector, weight: Vector): Vector {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + this.model.engine.decoder.shape.normEpsilon);
    return x.map((value, i) => value * scale * (weight[i] ?? NaN));
  }

  private rotated(head: Vector, layer: number, position: number): Vector {
    const { all, ofLayer } = this.model.engine.rotaries;
    const { frequencies, magnitude } = all[ofLayer[layer] ?? NaN] ?? { frequencies: [], magnitude: NaN };
    const half = head.length / 2;
    return head.map((value, i) => {
      const angle = position * (frequencies[i % half] ?? NaN);
      const other = i < half ? -(head[i + half] ?? NaN) : (head[i - half] ?? NaN);
      return magnitude * (value * Math.cos(angle) + other * Math.sin(angle));
    });
  }
}

function dot(a: Vector | undefined, b: Vector | undefined): number {
  if (a === undefined || b === undefined) return NaN;
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);
}

function capped(score: number, cap: number | null): number {
  return cap === null ? score : cap * Math.tanh(score / cap);
}

function silu(value: number): number {
  return value / (1 + Math.exp(-value));
}

function gelu(value: number): number {
  return 0.5 * value * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3)));
}

function add(x: Vector, more: Vector): void {
  more.forEach((value, i) => (x[i] = (x[i] ?? NaN) + value));
}

function softmax(scores: readonly number[]): number[] {
  const greatest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - greatest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
