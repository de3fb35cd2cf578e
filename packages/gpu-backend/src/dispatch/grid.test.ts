import * as fc from "fast-check";
import { expect, it } from "vitest";

import { DEFAULT_LIMITS } from "../device/limits";
import { flatGrid } from "./grid";

it("covers every workgroup within the limit, with fewer than a row too many", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65_535 ** 2 }), fc.integer({ min: 65_535, max: 2 ** 20 }), (count, most) => {
      const [x, y, z] = flatGrid(count, { ...DEFAULT_LIMITS, maxComputeWorkgroupsPerDimension: most });
      expect(x).toBeLessThanOrEqual(most);
      expect(y).toBeLessThanOrEqual(most);
      expect(z).toBe(1);
      expect(x * y).toBeGreaterThanOrEqual(count);
      expect(x * y - count).toBeLessThan(y);
    }),
  );
});

it("refuses what two dimensions do not hold", () => {
  expect(() => flatGrid(65_535 ** 2 + 1, DEFAULT_LIMITS)).toThrow(/maxComputeWorkgroupsPerDimension = 65535/);
});
