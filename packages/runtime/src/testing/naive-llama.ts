import type { DeviceTensor } from "@winnow/core-tensor";

import type { Model } from "../model";
import type { Linear } from "../models/linear";

/** What a row of a sequence sees, and where it stands. */
export interface Sight {
  /** Whether a row attends to a column, both by their place among all tokens. */
  readonly sees: (layer: number, kvHead: number, row: number, column: number) => boolean;
  /** The position that a row's query and key are rotated to. */
  readonly positionOf?: (row: number) => number;
}

type Vector = Float64Array;
type Matrix = (x: Vector) => Vector;

interface Layer {
  readonly attentionNorm: Vector;
  readonly qkv: Matrix;
  readonly output: Matrix;
  readonly feedForwardNorm: Vector;
  readonly gateUp: Matrix;
  readonly down: Matrix;
}

function sideBySide(parts: readonly Matrix[]): Matrix {
  return (x) => Float64Array.from(parts.flatMap((part) => [...part(x)]));
}

/** Llama in float64 with an explicit mask: no cache, no pages, no slots. */
export class NaiveLlama {
  private constructor(
    private readonly model: Model,
    private readonly embedding: Vector,
    private readonly layers: readonly Layer[],
    private readonly norm: Vector,
    private readonly head: Matrix,
  ) {}

  static async of(model: Model): Promise<NaiveLlama> {
    const { backend, llama } = model.engine;
    const { weights } = llama;
    const vector = async (tensor: DeviceTensor): Promise<Vector> => Float64Array.from(await backend.download(tensor));
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
        output: await matrix(layer.output),
        feedForwardNorm: await vector(layer.feedForwardNorm),
        gateUp: await matrix(layer.gateUp),
        down: await matrix(layer.down),
      });
    }
    const embedding = await vector(weights.embedding);
    return new NaiveLlama(
      model,
      embedding,
      layers,
      await vector(weights.norm),
      await matrix({ weight: weights.head, bias: null }),
    );
  }

  /** The logits of each row from `first` on. */
  logits(tokens: readonly number[], first: number, { sees, positionOf = (row) => row }: Sight): Vector[] {
    const { shape } = this.model.engine.llama;
    const { queryHeads, kvHeads, headDim } = shape.heads;
    const hidden = tokens.map((id) => this.embedding.slice(id * shape.width, (id + 1) * shape.width));
    this.layers.forEach((layer, l) => {
      const rows = hidden.map((x, row) => {
        const qkv = layer.qkv(this.normed(x, layer.attentionNorm));
        const heads = Array.from({ length: queryHeads + 2 * kvHeads }, (_, head) =>
          qkv.slice(head * headDim, (head + 1) * headDim),
        );
        const rotated = heads.slice(0, queryHeads + kvHeads).map((head) => this.rotated(head, positionOf(row)));
        return { rotated, values: heads.slice(queryHeads + kvHeads) };
      });
      hidden.forEach((x, row) => {
        const attended = new Float64Array(queryHeads * headDim);
        for (let head = 0; head < queryHeads; head++) {
          const kv = Math.floor((head * kvHeads) / queryHeads);
          const columns = [...rows.keys()].filter((column) => sees(l, kv, row, column));
          const query = rows[row]?.rotated[head];
          const scores = columns.map(
            (column) => dot(query, rows[column]?.rotated[queryHeads + kv]) / Math.sqrt(headDim),
          );
          const weights = softmax(scores);
          columns.forEach((column, c) => {
            rows[column]?.values[kv]?.forEach((value, i) => {
              const at = head * headDim + i;
              attended[at] = (attended[at] ?? 0) + (weights[c] ?? NaN) * value;
            });
          });
        }
        add(x, layer.output(attended));
        const gateUp = layer.gateUp(this.normed(x, layer.feedForwardNorm));
        const gated = gateUp.slice(0, shape.feedForward).map((gate, i) => {
          return (gate / (1 + Math.exp(-gate))) * (gateUp[shape.feedForward + i] ?? NaN);
        });
        add(x, layer.down(gated));
      });
    });
    return hidden.slice(first).map((x) => this.head(this.normed(x, this.norm)));
  }

  private normed(x: Vector, weight: Vector): Vector {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + this.model.engine.llama.shape.normEpsilon);
    return x.map((value, i) => value * scale * (weight[i] ?? NaN));
  }

  private rotated(head: Vector, position: number): Vector {
    const half = head.length / 2;
    return head.map((value, i) => {
      const angle = position * (this.model.engine.frequencies[i % half] ?? NaN);
      const other = i < half ? -(head[i + half] ?? NaN) : (head[i - half] ?? NaN);
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  }
}

function dot(a: Vector | undefined, b: Vector | undefined): number {
  if (a === undefined || b === undefined) return NaN;
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);
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
