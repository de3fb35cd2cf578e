import { expect, test } from "vitest";

import { parseArguments } from "./arguments";

test.each([
  [[], { kind: "cpu", json: false }],
  [["cpu", "--json"], { kind: "cpu", json: true }],
  [["gpu"], { kind: "gpu", json: false, out: null }],
  [["--out", "a.json", "gpu", "--json"], { kind: "gpu", json: true, out: "a.json" }],
])("%j is understood", (argv, asked) => {
  expect(parseArguments(argv)).toEqual(asked);
});

test.each([
  [["tpu"], 'there is no benchmark "tpu"; expected cpu or gpu'],
  [["gpu", "cpu"], '"cpu" is one argument too many'],
  [["--out", "a.json"], "--out is an option of the benchmark gpu"],
  [["--fast"], "'--fast'"],
])("%j is refused", (argv, fault) => {
  expect(parseArguments(argv)).toEqual({ kind: "usage", fault: expect.stringContaining(fault) as unknown });
});
