import type { AppendSpec } from "@winnow/core-tensor";
import { OPERATIONS, checkAppend, f32Of, f32Rows, u32Rows, type Poll } from "@winnow/core-tensor/cpu";

import type { Address } from "../kernels";
import type { Machine } from "../machine";
import type { CachePages } from "./page-arguments";
import { prepareOnce } from "./prepared";

/** Where keys and values go. */
type Target =
  | {
      readonly kind: "scratch";
      readonly k: Address;
      readonly v: Address;
      readonly capacity: number;
      readonly at: number;
    }
  | { readonly kind: "pages"; readonly pages: CachePages; readonly positions: Address };

interface Appended {
  readonly q: Address;
  readonly angles: Address;
  readonly into: Target;
}

/** Rotate queries in place; rotate keys and put them with the values where they belong. */
export function appendOf(machine: Machine): (spec: AppendSpec, poll: Poll) => void {
  const { kernels, pages } = machine;
  const appendedOf = prepareOnce((spec: AppendSpec) => prepare(machine, spec));
  return (spec, poll) => {
    const { heads, qkv } = spec;
    const { queryHeads, kvHeads, headDim } = heads;
    const { q, angles, into } = appendedOf(spec);
    if (into.kind === "scratch") {
      const { k, v, capacity, at } = into;
      kernels.append(queryHeads, kvHeads, headDim, q, angles, qkv.count, k, v, capacity, at, 0);
      return;
    }
    pages.use(into.pages, qkv.count);
    if (into.pages.kvType === "f32") {
      kernels.append(queryHeads, kvHeads, headDim, q, angles, qkv.count, 0, 0, 0, 0, into.positions);
    } else OPERATIONS.append(spec, poll);
  };
}

function prepare({ memory, pages }: Machine, spec: AppendSpec): Appended {
  checkAppend(spec);
  const { heads, qkv, rotation, into } = spec;
  return {
    q: memory.addressOf(f32Rows("append", "qkv", qkv)),
    angles: memory.addressOf(f32Rows("append", "rotation", rotation)),
    into:
      into.kind === "scratch"
        ? {
            kind: "scratch",
            k: memory.addressOf(f32Of(into.scratch.k)),
            v: memory.addressOf(f32Of(into.scratch.v)),
            capacity: into.scratch.k.shape[1] ?? 0,
            at: into.at,
          }
        : {
            kind: "pages",
            pages: pages.of(into.paged, heads),
            positions: memory.addressOf(u32Rows("append", "positions", into.positions)),
          },
  };
}
