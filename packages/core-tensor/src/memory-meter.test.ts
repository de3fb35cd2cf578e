import { describe, expect, it } from "vitest";

import { MemoryMeter } from "./memory-meter";

describe("MemoryMeter", () => {
  it("counts by category and label, and remembers the peak", () => {
    const meter = new MemoryMeter();
    const first = meter.allocated("weights", "a", 100);
    const second = meter.allocated("kv", "b", 30);
    const third = meter.allocated("activations", "b", 5);
    expect(meter.snapshot()).toEqual({ weights: 100, kv: 30, activations: 5, total: 135, peak: 135 });
    expect([...meter.byLabel()]).toEqual([
      ["a", 100],
      ["b", 35],
    ]);
    second();
    expect(meter.snapshot()).toMatchObject({ kv: 0, total: 105, peak: 135 });
    meter.resetPeak();
    expect(meter.snapshot().peak).toBe(105);
    first();
    third();
    expect(meter.snapshot()).toEqual({ weights: 0, kv: 0, activations: 0, total: 0, peak: 105 });
    expect(meter.byLabel().size).toBe(0);
  });

  it("names what is released twice", () => {
    const release = new MemoryMeter().allocated("kv", "layers.0.slab", 1);
    release();
    expect(release).toThrow(/"layers\.0\.slab" was released twice/);
  });
});
