import { NOT_A_TOKEN, type EmbedSpec } from "@winnow/core-tensor";
import { checkEmbed, expectToken, f32Rows, u32Rows } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";
import { weightArguments } from "../weight-form";

/** out[i] = scale · table[ids[i]]; a row without a token stays as it is. */
export function embedOf({ kernels, memory }: Machine): (spec: EmbedSpec) => void {
  return (spec) => {
    const { table, ids, scale = 1, out } = spec;
    const width = checkEmbed(spec);
    const target = memory.addressOf(f32Rows("embed", "out", out));
    kernels.embed_table(...weightArguments(table, memory));
    u32Rows("embed", "ids", ids).forEach((id, row) => {
      if (id === NOT_A_TOKEN) return;
      expectToken(id, table);
      kernels.embed_row(id, scale, target + 4 * row * width);
    });
  };
}
