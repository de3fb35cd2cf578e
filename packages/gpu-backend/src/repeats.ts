import type { BackendOperations, OperationName } from "@winnow/core-tensor";

import type { Repeat } from "./dispatch/plan-memo";
import type { Facet } from "./dispatch/spec-leaves";
import { splitKeys } from "./kernels/attend/attend-split.wgsl";
import { windowOf } from "./kernels/attend/group-window";
import { STEP_ROWS } from "./step-rows";

const whole = (): Facet => "whole";

type Repeats = { readonly [Name in OperationName]?: Repeat<BackendOperations[Name]> };

/** The operations that come again for every token, each with what its plan depends on. */
export const REPEATS: Repeats = {
  embed: { anchor: ({ ids }) => (ids.count <= STEP_ROWS ? ids.tensor : null), facetOf: whole },
  rmsNorm: { anchor: ({ x, weight }) => (x.count <= STEP_ROWS ? weight : null), facetOf: whole },
  matmul: { anchor: ({ x, weight }) => (x.count <= STEP_ROWS ? weight : null), facetOf: whole },
  append: {
    anchor: ({ qkv, into }) => (into.kind === "pages" && qkv.count <= STEP_ROWS ? into.paged.lengths : null),
    // Where new slots go is found on the device.
    facetOf: (field) => (field === "bounds" || field === "pending" ? "nothing" : "whole"),
  },
  attend: {
    anchor: (spec) => {
      const [group, ...others] = spec.groups;
      if (group?.paged === undefined || others.length > 0 || group.count > STEP_ROWS) return null;
      return spec.record === undefined && windowOf(spec, group) === null ? group.paged.kv.lengths : null;
    },
    facetOf: (field, { groups }) => {
      // Without a window, nor one that hides anything, nobody asks where a row stands.
      if (field === "position") return "nothing";
      return field === "bounds" ? { step: splitKeys(groups[0]?.paged?.kv.pageSlots ?? 1) } : "whole";
    },
  },
};
