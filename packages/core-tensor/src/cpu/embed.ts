import { NOT_A_TOKEN, type EmbedSpec } from "../backend";
import { checkEmbed, expectToken } from "../embed-check";
import { f32Rows, u32Rows } from "./cpu-tensor";
import { weightRows } from "./weight-rows";

/** out[i] = scale · table[ids[i]]; a row without a token stays as it is. */
export function embed(spec: EmbedSpec): void {
  const { table, ids, scale = 1, out } = spec;
  const width = checkEmbed(spec);
  const source = weightRows(table, 1);
  const target = f32Rows("embed", "out", out);
  u32Rows("embed", "ids", ids).forEach((id, row) => {
    if (id === NOT_A_TOKEN) return;
    expectToken(id, table);
    const { from, start } = source.read(id, 1);
    for (let i = 0; i < width; i++) target[row * width + i] = scale * (from[start + i] ?? 0);
  });
}
