import { rows, tensor } from "@winnow/core-tensor";
import { rotationOf, type Sequence } from "@winnow/runtime";

import { randomTensor } from "./random-data";

const ROWS_AT_A_TIME = 256;

/**
 * Fill every head's cache up to `slots` slots with random keys and values, as if so many of `tokens` tokens had been kept.
 *
 * @param tokens read so far; where slots are fewer, those in between were cut.
 */
export async function fillCache(sequence: Sequence, slots: number, tokens = slots): Promise<void> {
  const { backend, decoder, rotaries } = sequence.engine;
  const { heads, vocabulary } = decoder.shape;
  const before = sequence.tokens.length;
  const stride = (tokens - before) / (slots - before);
  const order = Uint32Array.from({ length: slots - before }, (_, i) => before + Math.floor(i * stride));
  using qkv = randomTensor(backend, [ROWS_AT_A_TIME, (heads.queryHeads + 2 * heads.kvHeads) * heads.headDim]);
  using rotation = randomTensor(backend, [ROWS_AT_A_TIME, heads.headDim]);
  const [rotary] = rotaries.all;
  if (rotary !== undefined) backend.write(rotation, rotationOf(order.subarray(0, ROWS_AT_A_TIME), rotary));
  using positions = backend.upload(tensor("u32", [order.length], order.slice()), {
    label: "bench",
    category: "activations",
  });
  for (const layer of sequence.layers) {
    for (let head = 0; head < heads.kvHeads; head++) layer.resize(head, slots);
    for (let row = 0; row < order.length; row += ROWS_AT_A_TIME) {
      const count = Math.min(ROWS_AT_A_TIME, order.length - row);
      backend.append({
        heads,
        qkv: rows(qkv, 0, count),
        rotation: rows(rotation, 0, count),
        into: { kind: "pages", paged: layer.paged, positions: rows(positions, row, count) },
      });
    }
    await backend.flush();
  }
  sequence.push(Array.from({ length: tokens - before }, (_, i) => (before + i) % vocabulary));
}
