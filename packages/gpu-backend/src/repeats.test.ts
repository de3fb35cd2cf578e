import { rows, type AppendSpec, type AttendSpec, type DeviceTensor, type PagedKv } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { LeafMatcher, leavesOf } from "./dispatch/spec-leaves";
import type { Plan } from "./dispatch/dispatch";
import type { Repeat } from "./dispatch/plan-memo";
import { planAppend } from "./kernels/append/append";
import { planAttend } from "./kernels/attend/attend";
import { REPEATS } from "./repeats";
import { describeGpu, testBackend } from "./testing/on-gpu";
import type { WebGpuBackend } from "./webgpu-backend";

const HEADS = { queryHeads: 4, kvHeads: 2, headDim: 8 };
const PAGE_SLOTS = 8;
const CONTEXT = 64;

/** All that the device would be told of a plan. */
function told(plan: Plan): unknown[] {
  return plan.map(({ kernel, params, bindings, data, grid }) => {
    const words = new Uint32Array(params.bytes / 4);
    params.write(new DataView(words.buffer), 0);
    const bound = Object.entries(bindings).map(([name, binding]) =>
      binding.kind === "buffer" ? [name, binding.buffer.id, binding.offset, binding.bytes] : [name, binding],
    );
    return { wgsl: kernel.wgsl, constants: kernel.constants, words, bound, data, grid };
  });
}

/** Specifications that the memo takes for the same have the same plans; how often it does, and how often it does not. */
function compare<Spec extends object>(
  specs: readonly Spec[],
  repeat: Repeat<Spec> | undefined,
  planOf: (spec: Spec) => Plan,
): { readonly same: number; readonly different: number } {
  if (repeat === undefined) throw new Error("the operation is not repeated");
  const matcher = new LeafMatcher();
  const counts = { same: 0, different: 0 };
  for (const one of specs) {
    const leaves = leavesOf(one, repeat.facetOf);
    if (repeat.anchor(one) === null || leaves === null) continue;
    for (const other of specs) {
      if (repeat.anchor(other) !== repeat.anchor(one)) continue;
      const same = matcher.matches(other, repeat.facetOf, leaves);
      counts[same ? "same" : "different"]++;
      if (same) expect(told(planOf(other))).toEqual(told(planOf(one)));
    }
  }
  return counts;
}

class Cache {
  readonly qkv: DeviceTensor;
  readonly rotation: DeviceTensor;
  readonly positions: DeviceTensor;
  readonly out: DeviceTensor;
  readonly slabs: readonly DeviceTensor[];
  readonly table: DeviceTensor;
  readonly lengths: DeviceTensor;
  readonly columns: DeviceTensor;
  readonly columnTable: DeviceTensor;

  constructor(backend: WebGpuBackend) {
    const { queryHeads, kvHeads, headDim } = HEADS;
    const make = (dtype: "f32" | "u32", shape: number[]): DeviceTensor =>
      backend.allocate(dtype, shape, { label: "repeats.test", category: "kv" });
    this.qkv = make("f32", [2, (queryHeads + 2 * kvHeads) * headDim]);
    this.rotation = make("f32", [2, headDim]);
    this.positions = make("u32", [2]);
    this.out = make("f32", [2, queryHeads * headDim]);
    this.slabs = [0, 1].map(() => make("f32", [8, 2, PAGE_SLOTS, headDim]));
    this.table = make("u32", [kvHeads, CONTEXT / PAGE_SLOTS]);
    this.lengths = make("u32", [kvHeads]);
    this.columns = make("f32", [8, PAGE_SLOTS]);
    this.columnTable = make("u32", [kvHeads, 9, 64]);
  }

  paged(bounds: readonly number[], pending: boolean, slabs: number): PagedKv {
    return {
      slabs: this.slabs.map((slab, i) => (i < slabs ? slab : null)),
      pagesPerSlab: 8,
      pageSlots: PAGE_SLOTS,
      table: this.table,
      lengths: this.lengths,
      bounds,
      columns: this.columns,
      columnTable: rows(this.columnTable),
      pending,
    };
  }
}

const BOUNDS = [
  [1, 1],
  [7, 8],
  [8, 8],
  [8, 9],
  [16, 16],
  [9, 16],
  [0, 3],
];

describeGpu("what an operation's plan depends on", () => {
  it("is all that attention is kept by", async () => {
    using backend = await testBackend();
    const cache = new Cache(backend);
    const specs = BOUNDS.flatMap((bounds) =>
      [false, true].flatMap((pending) =>
        [1, 2].flatMap((slabs) =>
          [undefined, 4, 1000].flatMap((window) =>
            [3, 4, 40].flatMap((position) =>
              [false, true].map((accumulate): AttendSpec => ({
                heads: HEADS,
                scale: 0.5,
                ...(window === undefined ? {} : { window }),
                qkv: rows(cache.qkv, 0, 1),
                out: rows(cache.out, 0, 1),
                groups: [
                  { start: 0, count: 1, position, paged: { kv: cache.paged(bounds, pending, slabs), appended: 1 } },
                ],
                accumulate,
              })),
            ),
          ),
        ),
      ),
    );
    const plan = (spec: AttendSpec): Plan => planAttend(spec, backend.gpu.capabilities);
    const { same, different } = compare(specs, REPEATS.attend, plan);
    expect(same).toBeGreaterThan(specs.length);
    expect(different).toBeGreaterThan(specs.length);
    // A window that hides something depends on where the row stands.
    const windowed = specs.filter(({ window, groups: [group] }) => window === 4 && (group?.position ?? 0) > 3);
    expect(windowed.map((spec) => REPEATS.attend?.anchor(spec))).toEqual(windowed.map(() => null));
  });

  it("is all that an append is kept by", async () => {
    using backend = await testBackend();
    const cache = new Cache(backend);
    const specs = BOUNDS.flatMap((bounds) =>
      [false, true].flatMap((pending) =>
        [1, 2].flatMap((slabs) =>
          [0, 1].map((row): AppendSpec => ({
            heads: HEADS,
            qkv: rows(cache.qkv, row, 1),
            rotation: rows(cache.rotation, row, 1),
            into: {
              kind: "pages",
              paged: cache.paged(bounds, pending, slabs),
              positions: rows(cache.positions, row, 1),
            },
          })),
        ),
      ),
    );
    const plan = (spec: AppendSpec): Plan => planAppend(spec, backend.gpu.capabilities);
    const { same, different } = compare(specs, REPEATS.append, plan);
    expect(same).toBe(specs.length * BOUNDS.length * 2);
    expect(different).toBeGreaterThan(specs.length);
  });
});
