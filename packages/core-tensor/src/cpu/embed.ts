import { NOT_A_TOKEN, type EmbedSpec } from "../backend";
import { WinnowError } from "../errors";
import { f32Rows, u32Rows, widthOf } from "./cpu-tensor";
import { weightRows } from "./weight-rows";

/** out[i] = scale · table[ids[i]]; a row without a token stays as it is. */
export function embed({ table, ids, scale = 1, out }: EmbedSpec): void {
  const width = widthOf(table);
  const vocabulary = table.shape[0] ?? 0;
  const source = weightRows(table, 1);
  const target = f32Rows("embed", "out", out);
  if (widthOf(out.tensor) !== width || out.count !== ids.count) {
    throw new WinnowError(
      "shape",
      `embed: out is ${out.count} rows of ${widthOf(out.tensor)}, expected ${ids.count} rows of ${width}`,
    );
  }
  u32Rows("embed", "ids", ids).forEach((id, row) => {
    if (id === NOT_A_TOKEN) return;
    if (id >= vocabulary) {
      throw new WinnowError("range", `embed: token ${id} is outside the vocabulary of ${vocabulary}`);
    }
    const { from, start } = source.read(id, 1);
    for (let i = 0; i < width; i++) target[row * width + i] = scale * (from[start + i] ?? 0);
  });
}
