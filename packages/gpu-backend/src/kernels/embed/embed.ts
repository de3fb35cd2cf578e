import { ELEMENT_BYTES, isQuantised, quantisedRow, WinnowError, type EmbedSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import { whole } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { defineFault } from "../../dispatch/fault";
import { flatGrid } from "../../dispatch/grid";
import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { rowOperand, tensorOperand } from "../../dispatch/operands";
import { paramBlock } from "../../dispatch/params";
import { pieceOf, rowsOfPiece } from "../../dispatch/piece";
import { WEIGHT_TYPES, weightStorage } from "../../wgsl/elements";
import { QUANTISED_PARAMS, quantisedParams } from "../../wgsl/quantised";
import { EMBED_THREADS, embedWgsl, tableType, type EmbedVariant } from "./embed.wgsl";

/** `units` counts vectors, `skip` entries; `first` and `count` are the rows of the table that are bound. */
const PARAMS = paramBlock({
  rows: "u32",
  units: "u32",
  first_id: "u32",
  first_out: "u32",
  first: "u32",
  count: "u32",
  skip: "u32",
  vocabulary: "u32",
  scale: "f32",
  ...QUANTISED_PARAMS,
});

const OUTSIDE = defineFault(
  (id, vocabulary) => new WinnowError("range", `embed: token ${id} is outside the vocabulary of ${vocabulary}`),
);

const embedKernel = kernelVariants((variant: EmbedVariant) =>
  defineKernel({
    label: "embed",
    params: PARAMS,
    storage: {
      table: { access: "read", type: tableType(variant) },
      ids: { access: "read", type: "array<u32>" },
      out: { access: "write", type: variant.vector === 4 ? "array<vec4f>" : "array<f32>" },
    },
    fault: OUTSIDE,
    code: embedWgsl(variant),
  }),
);

/** out[i] = scale · table[ids[i]], one piece of the table after the other. */
export function planEmbed(spec: EmbedSpec, { limits }: GpuCapabilities): Plan {
  const table = tensorOperand("table", spec.table, WEIGHT_TYPES);
  const out = rowOperand("out", spec.out, ["f32"]);
  const [vocabulary = 0, width = 0] = table.shape;
  if (out.width !== width || out.count !== spec.ids.count) {
    throw new WinnowError(
      "shape",
      `embed: out is ${out.count} rows of ${out.width}, expected ${spec.ids.count} rows of ${width}`,
    );
  }
  const ids = rowOperand("ids", spec.ids, ["u32"]);
  if (width === 0) return [];
  const vector = width % 4 === 0 ? 4 : 1;
  const units = width / vector;
  const entry = isQuantised(table.dtype) ? 4 : vector * ELEMENT_BYTES[table.dtype];
  const quantised = quantisedParams(isQuantised(table.dtype) ? quantisedRow(table.dtype, width) : null);
  const most = rowsOfPiece(table, limits);
  const plan: Dispatch[] = [];
  for (let first = 0; first === 0 || first < vocabulary; first += most) {
    const count = Math.min(most, vocabulary - first);
    const piece = pieceOf(table, first, count, limits);
    plan.push({
      kernel: embedKernel({ vector, table: weightStorage(table.dtype) }),
      params: PARAMS.pack({
        rows: ids.count,
        units,
        first_id: ids.first,
        first_out: spec.out.start,
        first,
        count,
        skip: piece.skip / entry,
        vocabulary,
        scale: spec.scale ?? 1,
        ...quantised,
      }),
      bindings: { table: piece.binding, ids: whole(ids.tensor), out: whole(out.tensor) },
      grid: flatGrid(Math.ceil((ids.count * units) / EMBED_THREADS), limits),
    });
    if (piece.binding.bytes === table.buffer.bytes) break;
  }
  return plan;
}
