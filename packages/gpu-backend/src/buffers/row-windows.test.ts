import * as fc from "fast-check";
import { expect, it } from "vitest";

import { DEFAULT_LIMITS } from "../device/limits";
import { rowWindows } from "./row-windows";

it("is one window where the matrix fits", () => {
  expect(rowWindows("w", 10, 12, DEFAULT_LIMITS)).toEqual([{ firstRow: 0, rowCount: 10, offset: 0, bytes: 120 }]);
  expect(rowWindows("lm_head", 128_256, 8192, DEFAULT_LIMITS)).toHaveLength(8);
});

it("covers every row once, at aligned offsets, within the limit", () => {
  const cases = fc.record({
    rows: fc.integer({ min: 1, max: 5000 }),
    rowWords: fc.integer({ min: 1, max: 300 }),
    most: fc.integer({ min: 400_000, max: 2_000_000 }),
    alignment: fc.constantFrom(16, 32, 64, 256),
  });
  fc.assert(
    fc.property(cases, ({ rows, rowWords, most, alignment }) => {
      const limits = {
        ...DEFAULT_LIMITS,
        maxStorageBufferBindingSize: most,
        minStorageBufferOffsetAlignment: alignment,
      };
      const windows = rowWindows("w", rows, 4 * rowWords, limits);
      let next = 0;
      for (const { firstRow, rowCount, offset, bytes } of windows) {
        expect(firstRow).toBe(next);
        expect(offset).toBe(firstRow * 4 * rowWords);
        expect(offset % alignment).toBe(0);
        expect(bytes).toBe(rowCount * 4 * rowWords);
        expect(bytes).toBeLessThanOrEqual(most);
        next += rowCount;
      }
      expect(next).toBe(rows);
    }),
  );
});

it("refuses rows that no window can begin with", () => {
  const limits = { ...DEFAULT_LIMITS, maxStorageBufferBindingSize: 1024 };
  expect(() => rowWindows("w", 100, 12, limits)).not.toThrow();
  expect(() => rowWindows("w", 100, 20, limits)).toThrow(/64 rows of "w" have 1280 bytes.*= 1024/);
});
