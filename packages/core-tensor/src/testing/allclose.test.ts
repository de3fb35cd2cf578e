import { describe, expect, it } from "vitest";

import { difference, registerMatchers } from "./allclose";

registerMatchers();
const tolerance = { rtol: 0.1, atol: 0.01 };

describe("toBeAllclose", () => {
  it("accepts what lies within rtol · |expected| + atol", () => {
    expect([1.1, 0.01, -2]).toBeAllclose([1, 0, -2], tolerance);
    expect([NaN, Infinity, 0]).toBeAllclose([NaN, Infinity, -0], tolerance);
    expect(Float32Array.of(0.1)).toBeAllclose([0.1], tolerance);
    expect([1.2]).not.toBeAllclose([1], tolerance);
  });

  it("says what is worst", () => {
    expect(difference([1, 5, 3], [1, 2, 3.5], tolerance)).toBe(
      "2 of 3 numbers are not within rtol 0.1, atol 0.01; the worst is number 1: 5, expected 2",
    );
    expect(difference([NaN, 9], [1, 1], tolerance)).toContain("number 0: NaN, expected 1");
    expect(difference([Infinity], [-Infinity], tolerance)).toContain("number 0");
    expect(difference([1], [1, 2], tolerance)).toBe("1 numbers, expected 2");
  });
});
