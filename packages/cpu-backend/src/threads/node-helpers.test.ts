import { describe, expect, it } from "vitest";

import { needsFlag } from "./node-helpers";

describe("the flag of relaxed SIMD", () => {
  it("is given to the versions of Node that know it and need it", () => {
    expect(["20.19.0", "21.7.3", "22.0.0", "24.11.1", "18.20.0"].map(needsFlag)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});
