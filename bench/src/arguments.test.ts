import { expect, test } from "vitest";

import { parseArguments } from "./arguments";

const ALL = ["demo", "1b", "8b"];

test.each([
  [[], { kind: "cpu", json: false }],
  [["cpu", "--json"], { kind: "cpu", json: true }],
  [["gpu"], { kind: "gpu", json: false, out: null, shapes: ALL }],
  [["--out", "a.json", "gpu", "--json"], { kind: "gpu", json: true, out: "a.json", shapes: ALL }],
  [["gpu", "--shape", "8b", "--shape", "demo"], { kind: "gpu", json: false, out: null, shapes: ["demo", "8b"] }],
])("%j is understood", (argv, asked) => {
  expect(parseArguments(argv)).toEqual(asked);
});

test.each([
  [["tpu"], 'there is no benchmark "tpu"; expected cpu or gpu'],
  [["gpu", "cpu"], '"cpu" is one argument too many'],
  [["--out", "a.json"], "--out is an option of the benchmark gpu"],
  [["--shape", "1b"], "--shape is an option of the benchmark gpu"],
  [["gpu", "--shape", "70b"], 'there is no shape "70b"; expected demo, 1b, 8b'],
  [["--fast"], "'--fast'"],
  [["gpu", "--out"], "'--out <value>'"],
])("%j is refused", (argv, fault) => {
  expect(parseArguments(argv)).toEqual({ kind: "usage", fault: expect.stringContaining(fault) as unknown });
});
