import { rows, tensor } from "@winnow/core-tensor";
import { rotationOf, type Sequence } from "@winnow/runtime";

import { randomTensor } from "./random-data";

const ROWS_AT_A_TIME = 256;

/** Fill every head's cache up to `slots` slots with random keys and values, as if so many tokens had been read and kept. */
export async function fillCache(sequence: Sequence, slots: number): Promise<void> {
  const { backend, decoder, rotaries } = sequence.engine;
  const { heads, vocabulary } = decoder.shape;
  const order = Uint32Array.from({ length: slots - sequence.tokens.length }, (_, i) => sequence.tokens.length + i);
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
  sequence.push(Array.from(order, (position) => position % vocabulary));
}
