import { rows } from "@winnow/core-tensor";

import type { Engine } from "../engine";
import { rotationOfLayer } from "../models/rotaries";
import { rotationOf } from "../models/rope";
import type { Sequence } from "./sequence";
import { StepBuffers } from "./step-buffers";

/**
 * Read the token that each of some sequences has drawn last, all in one step; nobody need know the tokens yet. Each
 * sequence's key and value are appended and its `logitsAhead` filled; `accept` or `takeBack` is to follow. What a sequence
 * gets does not depend on the others: its row of every product is the same, and attention is each one's own.
 *
 * @param sequences have grown by a slot; no more than the buffers have room for.
 */
export function readTokens(engine: Engine, sequences: readonly Sequence[], buffers: StepBuffers): void {
  const { backend, decoder, rotaries } = engine;
  const { heads } = decoder.shape;
  const positions = sequences.map(({ tokens }) => tokens.length);
  backend.write(buffers.positions, Uint32Array.from(positions));
  rotaries.all.forEach((rotary, i) => {
    const rotation = buffers.rotations[i];
    if (rotation !== undefined) backend.write(rotation, rotationOf(positions, rotary));
  });
  const hidden = rows(buffers.hidden, 0, sequences.length);
  sequences.forEach(({ drawn }, i) => {
    decoder.embed(rows(drawn.token), rows(buffers.hidden, i, 1));
  });
  decoder.weights.layers.forEach((weights, l) => {
    const qkv = decoder.projectQkv(weights, hidden, buffers.workspace);
    const rotation = rotationOfLayer(engine, buffers.rotations, l);
    sequences.forEach(({ layers }, i) => {
      const layer = layers[l];
      if (layer === undefined) return;
      const kv = layer.paged;
      const row = rows(qkv.tensor, i, 1);
      backend.append({
        heads,
        qkv: row,
        rotation: rows(rotation, i, 1),
        into: { kind: "pages", paged: kv, positions: rows(buffers.positions, i, 1) },
      });
      const accumulate = layer.accumulates;
      backend.attend({
        ...decoder.sight(l),
        qkv: row,
        out: rows(buffers.workspace.attended, i, 1),
        groups: [{ start: 0, count: 1, position: positions[i] ?? 0, paged: { kv, appended: 1 } }],
        accumulate,
      });
      layer.pending = accumulate;
    });
    decoder.finishLayer(weights, rows(buffers.workspace.attended, 0, sequences.length), hidden, buffers.workspace);
  });
  const { logits } = buffers;
  const [only] = sequences;
  if (logits === null || sequences.length === 1) {
    if (only !== undefined) decoder.predict(hidden, rows(only.logitsAhead));
    return;
  }
  decoder.predict(hidden, rows(logits, 0, sequences.length));
  sequences.forEach(({ logitsAhead }, i) => {
    backend.copy(rows(logits, i, 1), rows(logitsAhead));
  });
}

/** Read one token that is known by itself: the sequence's `logits` become those of its row. Nothing is evicted. */
export function readToken(sequence: Sequence, token: number): void {
  const { engine } = sequence;
  using buffers = new StepBuffers(engine, 1);
  engine.backend.write(sequence.drawn.token, Uint32Array.of(token));
  sequence.grow();
  readTokens(engine, [sequence], buffers);
  sequence.accept(token);
}
