import { rows, type DeviceTensor, type Rows } from "@winnow/core-tensor";

import type { Engine } from "../engine";
import type { LayerCache } from "./layer-cache";

/**
 * Memory for guessed tokens of one sequence that are read behind the token that was drawn: what they are, the logits of
 * their rows, the tokens that are drawn beside them, and what it takes to add up their rows' weights once it is known which of
 * them were guessed well.
 */
export class DraftRows implements Disposable {
  /** u32 [capacity]: the guessed tokens. */
  readonly ids: DeviceTensor;
  /** f32 [capacity, vocabulary]: what follows each of them. */
  readonly logits: DeviceTensor;
  /** u32 [1] and f32 [1] of each: the token that is drawn in its place, and its log-probability. */
  readonly drawn: readonly { readonly token: DeviceTensor; readonly logProbability: DeviceTensor }[];
  #tokens: readonly number[] = [];
  /** f32 [capacity, qkv], rotated, of the layers whose heads add up weights. */
  readonly #qkv = new Map<number, DeviceTensor>();
  /** f32 [1, queryHeads · headDim]: nobody reads it. */
  #attended: DeviceTensor | null = null;

  /** @param capacity guessed tokens at most. */
  constructor(
    private readonly engine: Engine,
    readonly capacity: number,
  ) {
    const { vocabulary } = engine.decoder.shape;
    this.ids = this.#allocate("u32", [capacity]);
    this.logits = this.#allocate("f32", [capacity, vocabulary]);
    this.drawn = Array.from({ length: capacity }, () => ({
      token: this.#allocate("u32", [1]),
      logProbability: this.#allocate("f32", [1]),
    }));
  }

  /** The tokens that are guessed now, no more than there is memory for. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  set tokens(tokens: readonly number[]) {
    this.#tokens = tokens;
    this.engine.backend.write(this.ids, Uint32Array.from(tokens));
  }

  /** Keep a layer's rotated rows until it is known which of them count. */
  keep(layer: number, qkv: Rows): void {
    const kept = this.#qkv.get(layer) ?? this.#allocate("f32", [this.capacity, qkv.tensor.shape[1] ?? 0]);
    this.#qkv.set(layer, kept);
    this.engine.backend.copy(qkv, rows(kept, 0, qkv.count));
  }

  /**
   * Add up the weights of the first `count` rows, whose tokens were guessed well. They attend once more, one by one, each
   * over what it has seen: so mass gathers in the order, and with the roundings, of tokens that were read one at a time.
   *
   * @param layers have these rows' slots, and none behind them.
   * @param position of the first row.
   */
  commit(layers: readonly LayerCache[], position: number, count: number): void {
    const { backend, decoder } = this.engine;
    const { queryHeads, headDim } = decoder.shape.heads;
    for (const [l, qkv] of this.#qkv) {
      const layer = layers[l];
      if (layer === undefined) continue;
      for (let i = 0; i < count; i++) {
        this.#attended ??= this.#allocate("f32", [1, queryHeads * headDim]);
        layer.writeLengths(count - 1 - i);
        backend.attend({
          ...decoder.sight(l),
          qkv: rows(qkv, i, 1),
          out: rows(this.#attended),
          groups: [
            {
              start: 0,
              count: 1,
              position: position + i,
              paged: { kv: layer.paged, appended: 1 },
            },
          ],
          accumulate: true,
        });
      }
    }
  }

  [Symbol.dispose](): void {
    const drawn = this.drawn.flatMap(({ token, logProbability }) => [token, logProbability]);
    for (const tensor of [this.ids, this.logits, ...drawn, ...this.#qkv.values(), this.#attended]) {
      tensor?.[Symbol.dispose]();
    }
    this.#qkv.clear();
  }

  #allocate(dtype: "f32" | "u32", shape: number[]): DeviceTensor {
    return this.engine.backend.allocate(dtype, shape, { label: "draft", category: "activations" });
  }
}
