import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { describeGpu, testBackend } from "../testing/on-gpu";
import { PacedPolling, type Loop } from "./paced-polling";

/** An event loop whose time passes as its turns and timers say. */
class FakeLoop implements Loop {
  #nowMs = 0;
  #due: { readonly atMs: number; readonly callback: () => void }[] = [];

  constructor(private readonly turnMs: number) {}

  nowMs(): number {
    return this.#nowMs;
  }

  soon(callback: () => void): void {
    this.later(callback, this.turnMs);
  }

  later(callback: () => void, ms: number): () => void {
    const entry = { atMs: this.#nowMs + ms, callback };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  /** Let time pass until nothing is due any more. */
  run(): void {
    for (;;) {
      const [next] = [...this.#due].sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) return;
      this.#due = this.#due.filter((other) => other !== next);
      this.#nowMs = next.atMs;
      next.callback();
    }
  }
}

/** A binding like Dawn's: while work is awaited it looks again and again by the global `setImmediate`. */
function fakeBinding(loop: Loop): {
  readonly classes: { readonly GPUBuffer: { readonly prototype: { mapAsync(ms: number): void } } };
  readonly looks: number[];
  readonly doneMs: number[];
} {
  const looks: number[] = [];
  const doneMs: number[] = [];
  let awaited: number[] = [];
  let queued = false;
  const look = (): void => {
    if (queued) return;
    queued = true;
    globalThis.setImmediate(() => {
      queued = false;
      if (awaited.length === 0) return;
      looks.push(loop.nowMs());
      const over = awaited.filter((atMs) => atMs <= loop.nowMs());
      awaited = awaited.filter((atMs) => atMs > loop.nowMs());
      doneMs.push(...over.map(() => loop.nowMs()));
      look();
    });
  };
  const mapAsync = (ms: number): void => {
    awaited.push(loop.nowMs() + ms);
    look();
  };
  return { classes: { GPUBuffer: { prototype: { mapAsync } } }, looks, doneMs };
}

/** What a patient look may be late by: its timer, and a turn of the loop; times are added up in float64. */
const TIMER_MS = 1;
const TURN_MS = 0.01;
const ROUNDING_MS = 1e-9;

describe("PacedPolling", () => {
  it.each([
    { takesMs: 0.2, lateMs: 0.06, looks: 6 },
    { takesMs: 4, lateMs: 0.06, looks: 90 },
    { takesMs: 100, lateMs: 1, looks: 200 },
  ])("sees what takes $takesMs ms at most $lateMs ms late, with at most $looks looks", ({ takesMs, lateMs, looks }) => {
    const loop = new FakeLoop(0.005);
    const binding = fakeBinding(loop);
    new PacedPolling(loop).pace(binding.classes);
    binding.classes.GPUBuffer.prototype.mapAsync(takesMs);
    loop.run();
    expect(binding.doneMs).toHaveLength(1);
    expect(binding.doneMs[0]).toBeLessThanOrEqual(takesMs + lateMs);
    expect(binding.looks.length).toBeLessThanOrEqual(looks);
  });

  it("looks eagerly again after each call, and forgets none", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ afterMs: fc.nat(40), takesMs: fc.nat(60) }), { minLength: 1 }), (calls) => {
        const loop = new FakeLoop(TURN_MS);
        const binding = fakeBinding(loop);
        new PacedPolling(loop).pace(binding.classes);
        let atMs = 0;
        const endsMs: number[] = [];
        for (const { afterMs, takesMs } of calls) {
          atMs += afterMs;
          endsMs.push(atMs + takesMs);
          loop.later(() => {
            binding.classes.GPUBuffer.prototype.mapAsync(takesMs);
          }, atMs);
        }
        loop.run();
        const expected = endsMs.sort((a, b) => a - b);
        expect(binding.doneMs).toHaveLength(expected.length);
        for (const [i, doneMs] of binding.doneMs.entries()) {
          expect(doneMs).toBeGreaterThanOrEqual(expected[i] ?? Infinity);
          expect(doneMs - (expected[i] ?? 0)).toBeLessThanOrEqual(TIMER_MS + TURN_MS + ROUNDING_MS);
        }
      }),
    );
  });

  it("leaves setImmediate as it was to everybody else, whatever the binding throws", () => {
    const own = globalThis.setImmediate;
    const thrown = new Error("no");
    const classes = {
      GPUQueue: {
        prototype: {
          onSubmittedWorkDone: (): void => {
            expect(globalThis.setImmediate).not.toBe(own);
            throw thrown;
          },
        },
      },
    };
    new PacedPolling(new FakeLoop(1)).pace(classes);
    expect(classes.GPUQueue.prototype.onSubmittedWorkDone).toThrow(thrown);
    expect(globalThis.setImmediate).toBe(own);
  });
});

describeGpu("Dawn", () => {
  it("never meets the setImmediate of others", async () => {
    const immediate = vi.spyOn(globalThis, "setImmediate");
    try {
      using backend = await testBackend();
      const x = backend.allocate("f32", [64], { label: "x", category: "activations" });
      expect(await backend.download(x)).toEqual(new Float32Array(64));
      await backend.flush();
      expect(immediate.mock.calls.map(([callback]) => String(callback)).filter(isNative)).toEqual([]);
    } finally {
      immediate.mockRestore();
    }
  });
});

function isNative(source: string): boolean {
  return source.includes("[native code]");
}
