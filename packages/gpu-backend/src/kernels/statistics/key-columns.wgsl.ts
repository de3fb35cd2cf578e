import type { ComputedColumn } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { KEY_PARAMS_FIELDS, keyPlacesWgsl, keyReader, keyStorage, type KeyVariant } from "./key-places.wgsl";
import { SLOT_THREADS } from "./slot-facts.wgsl";

export const KEY_PARAMS = paramBlock(KEY_PARAMS_FIELDS);

export interface KeyColumnVariant extends KeyVariant {
  readonly column: ComputedColumn;
}

/**
 * A column that follows from keys or values: their lengths, or the cosine of the angle between a key and the head's mean
 * key (KeyDiff, arXiv 2504.15364, section 3).
 */
export const keyColumnKernel = kernelVariants((variant: KeyColumnVariant) => {
  const { column } = variant;
  const ofValues = column === "valueNorm";
  return defineKernel({
    label: `statistics.${column}`,
    params: KEY_PARAMS,
    storage: {
      ...keyStorage(variant, ofValues),
      ...(column === "keyDiff" ? ({ means: { access: "read", type: "array<f32>" } } as const) : {}),
      column: { access: "write", type: "array<f32>" },
    },
    code: `
${keyPlacesWgsl(variant, ofValues)}

@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let found = find(id.x, head);
  if (!found.here) { return; }
  var square = 0.0;
  ${column === "keyDiff" ? "var product = 0.0;\n  var mean_square = 0.0;" : ""}
  for (var d = 0u; d < params.head_dim; d++) {
    let value = ${keyReader(variant, ofValues).read("found.at", "d")};
    square += value * value;
    ${
      column === "keyDiff"
        ? `let mean = means[head * params.head_dim + d];
    product += value * mean;
    mean_square += mean * mean;`
        : ""
    }
  }
  let at = (params.first_row + head) * params.table_capacity + found.slot;
  ${
    column === "keyDiff"
      ? `let scale = sqrt(square) * sqrt(mean_square);
  column[at] = select(product / scale, 0.0, scale == 0.0);`
      : "column[at] = sqrt(square);"
  }
}`,
  });
});
