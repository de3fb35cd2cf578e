import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { Heap } from "./heap";

const BASE = 1000;

/** Memory of so many pages of 64 KiB. */
function heapOf(initial: number, maximum: number): { readonly heap: Heap; readonly memory: WebAssembly.Memory } {
  const memory = new WebAssembly.Memory({ initial, maximum, shared: true });
  return { heap: new Heap(memory, BASE, 65_536 * maximum), memory };
}

describe("a heap", () => {
  it("gives blocks that share no byte, and serves the next from what is given back", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("allocate" as const), bytes: fc.integer({ min: 0, max: 200_000 }) }),
      fc.record({ kind: fc.constant("free" as const), which: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { heap, memory } = heapOf(2, 1000);
        const live: { at: number; bytes: number }[] = [];
        for (const made of steps) {
          if (made.kind === "allocate") {
            const at = heap.allocate(made.bytes, "test");
            expect(at % 64).toBe(0);
            expect(at).toBeGreaterThanOrEqual(BASE);
            expect(at + made.bytes).toBeLessThanOrEqual(memory.buffer.byteLength);
            for (const other of live) {
              expect(at + Math.max(1, made.bytes) <= other.at || other.at + Math.max(1, other.bytes) <= at).toBe(true);
            }
            live.push({ at, bytes: made.bytes });
          } else if (live.length > 0) {
            const [gone] = live.splice(made.which % live.length, 1);
            heap.free(gone?.at ?? 0);
          }
        }
        for (const { at } of live) heap.free(at);
        expect(heap.usedBytes).toBe(0);
        // All of it is one block again.
        const before = memory.buffer.byteLength;
        heap.allocate(before - 1024, "everything");
        expect(memory.buffer.byteLength).toBe(before);
      }),
      { numRuns: 50 },
    );
  });

  it("names what there is no memory for, and goes on", () => {
    const { heap } = heapOf(1, 4);
    const at = heap.allocate(100_000, "layers.0");
    expect(() => heap.allocate(200_000, "layers.1")).toThrow(/"layers.1": 200000 bytes, beside 100\d+ in use/);
    heap.free(at);
    expect(heap.allocate(200_000, "layers.1")).toBe(at);
  });

  it("refuses a block that is given back twice", () => {
    const { heap } = heapOf(1, 4);
    const at = heap.allocate(10, "x");
    heap.free(at);
    expect(() => {
      heap.free(at);
    }).toThrow(/given back twice/);
  });
});
