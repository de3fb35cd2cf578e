import { rows } from "@winnow/core-tensor";

import type { Engine } from "../engine";
import { rotationOf } from "../models/rope";
import type { Sequence } from "./sequence";
import { StepBuffers } from "./step-buffers";

/**
 * Read the token that each of some sequences has drawn last, and its draft behind it, all in one step; nobody need know the
 * tokens yet. Each sequence's keys and values are appended and its `logitsAhead` filled, and the logits of its draft; `accept`
 * or `takeBack` is to follow. What a sequence gets does not depend on the others: its rows of every product are the same, and
 * attention is each one's own.
 *
 * @param sequences have grown by a slot, and by as many as their drafts have tokens; their rows are together no more than the
 *   buffers have room for.
 */
export function readTokens(engine: Engine, sequences: readonly Sequence[], buffers: StepBuffers): void {
  const { backend, decoder, rotaries } = engine;
  const { operations } = buffers;
  const spans = spansOf(sequences);
  const positions = spans.flatMap(({ sequence: { tokens }, count }) =>
    Array.from({ length: count }, (_, i) => tokens.length + i),
  );
  backend.write(buffers.positions, Uint32Array.from(positions));
  rotaries.all.forEach((rotary, i) => {
    const rotation = buffers.rotations[i];
    if (rotation !== undefined) backend.write(rotation, rotationOf(positions, rotary));
  });
  for (const { sequence, first, count } of spans) {
    const { drawn, draft } = sequence;
    backend.embed(operations.embedding(drawn.token, first, 1));
    if (draft !== null) backend.embed(operations.embedding(draft.ids, first + 1, count - 1));
  }
  for (const [l, { projection, completion }] of operations.layers(positions.length).entries()) {
    decoder.run(projection);
    for (const { sequence, first, count } of spans) {
      const layer = sequence.layers[l];
      if (layer === undefined) continue;
      const { accumulates } = layer;
      const read = (from: number, rowCount: number, counts: boolean): void => {
        const position = positions[from] ?? 0;
        const reading = operations.reading(l, layer, { first: from, count: rowCount, position, accumulates: counts });
        backend.append(reading.append);
        backend.attend(reading.attend);
      };
      const { draft } = sequence;
      if (draft !== null && accumulates) {
        // The first row counts unless it ends the answer; which of the others do is not known yet.
        read(first, 1, true);
        read(first + 1, count - 1, false);
        draft.keep(l, rows(buffers.workspace.qkv, first + 1, count - 1));
      } else read(first, count, accumulates);
      layer.pending = accumulates;
    }
    decoder.run(completion);
  }
  const { logits } = buffers;
  const [only] = sequences;
  if (logits === null || positions.length === 1) {
    if (only !== undefined) backend.matmul(operations.prediction(only.logitsAhead, 1));
    return;
  }
  backend.matmul(operations.prediction(logits, positions.length));
  for (const { sequence, first, count } of spans) {
    const { draft, logitsAhead } = sequence;
    backend.copy(rows(logits, first, 1), rows(logitsAhead));
    if (draft !== null) backend.copy(rows(logits, first + 1, count - 1), rows(draft.logits, 0, count - 1));
  }
}

/** Rows of a step that are one sequence's: of the token that was drawn, and of its draft. */
interface Span {
  readonly sequence: Sequence;
  readonly first: number;
  readonly count: number;
}

function spansOf(sequences: readonly Sequence[]): readonly Span[] {
  let next = 0;
  return sequences.map((sequence) => {
    const count = 1 + (sequence.draft?.tokens.length ?? 0);
    const first = next;
    next += count;
    return { sequence, first, count };
  });
}

/**
 * Read one token that is known by itself: the sequence's `logits` become those of its row. Nothing is evicted.
 *
 * @param buffers for one row, where several tokens are read one after the other.
 */
export function readToken(sequence: Sequence, token: number, buffers?: StepBuffers): void {
  const { engine } = sequence;
  if (buffers === undefined) {
    using own = new StepBuffers(engine, 1);
    readToken(sequence, token, own);
    return;
  }
  engine.backend.write(sequence.drawn.token, Uint32Array.of(token));
  sequence.grow();
  readTokens(engine, [sequence], buffers);
  sequence.accept([token]);
}
