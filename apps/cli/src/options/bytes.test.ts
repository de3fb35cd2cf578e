import { expect, test } from "vitest";

import { byteCount } from "./bytes";

test.each([
  ["512MiB", 512 * 2 ** 20],
  ["1.5 GiB", 1.5 * 2 ** 30],
  ["2gb", 2e9],
  ["1048576", 2 ** 20],
  ["10kb", 10_000],
])("%s is a number of bytes", (text, bytes) => {
  expect(byteCount(text)).toBe(bytes);
});

test.each(["", "MiB", "-1", "0", "1 PiB", "12MiB extra", "1e6", "99999999999GiB"])("%j is none", (text) => {
  expect(() => byteCount(text)).toThrow(/512MiB/);
});
