import { createCpuBackend } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { KvStore, fullCacheBytes } from "./kv-store";

const heads = { queryHeads: 32, kvHeads: 8, headDim: 64 };
const layoutOf = (context: number, windows: readonly (number | null)[]) =>
  ({ kvType: "f32", layers: windows.length, windows, heads, pageSlots: 64, context }) as const;

it.each([
  [1024, 2 ** 20],
  [131_072, 2 ** 24],
])("has slabs of a few to a layer, and none that is large however long the context: %i tokens", (context, most) => {
  using backend = createCpuBackend();
  using store = new KvStore(backend, layoutOf(context, [null, null]));
  for (const pool of store.layers) {
    expect(pool.bytesFor(1)).toBeLessThanOrEqual(most);
    expect(pool.bytesFor(1)).toBeGreaterThanOrEqual(most / 2);
  }
});

it("counts of a layer in a window what the window sees", () => {
  const [half, whole] = [layoutOf(1024, [128, null]), layoutOf(1024, [null, null])];
  expect(fullCacheBytes(half, 128)).toBe(fullCacheBytes(whole, 128));
  expect(fullCacheBytes(half, 1024)).toBe((fullCacheBytes(whole, 1024) / 2) * (1 + 128 / 1024));
});
