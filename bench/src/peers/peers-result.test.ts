import { expect, test } from "vitest";

import type { Cell } from "./cells";
import { formatPeers } from "./format-peers";
import type { Sample } from "./job";
import { linePlot } from "./line-plot";
import { resultOf, rowOf } from "./peers-result";
import { resultText } from "./result-text";
import { faster, reasonIn, type Outcome } from "./sample-peer";

const CELL: Cell = { peer: "winnow full", model: "135m q8_0", context: 1000, batch: 1, start: "read" };
const SAMPLE: Sample = {
  loadMs: 5,
  firstTokenMs: 100,
  stepMs: 10,
  steps: 16,
  peakBytes: 1e6,
  cpuMs: 1,
  deviceBytes: null,
  kept: 1,
};

const RUN = {
  machine: { cpu: "c", cores: 2, node: "v20", platform: "linux x64" },
  memoryBytes: 1,
  runs: 1,
  notes: [],
};

function measured(of: Partial<Sample>, otherCores = 0): Outcome {
  return { kind: "measured", sample: { ...SAMPLE, ...of }, otherCores };
}

function rowFor(cell: Partial<Cell>, of: Partial<Sample>) {
  return rowOf({ ...CELL, ...cell }, [measured(of)]);
}

test("a row has the medians of its runs, and the highest of what was used", () => {
  const runs = [measured({ stepMs: 10 }), measured({ stepMs: 20, peakBytes: 3e6 }, 0.5), measured({ stepMs: 40 })];
  expect(rowOf({ ...CELL, batch: 8 }, runs)).toMatchObject({
    stepMs: { median: 20, least: 10, most: 40 },
    tokensPerSecond: { median: 400, least: 200, most: 800 },
    firstTokenMs: { median: 100 },
    peakBytes: 3e6,
    runs: 3,
    otherCores: 0.5,
  });
});

test("a cell that one run could not measure is skipped with that reason", () => {
  expect(rowOf(CELL, [measured({}), { kind: "skipped", why: "it takes over 60 s" }])).toEqual({
    ...CELL,
    skipped: "it takes over 60 s",
  });
});

test.each([
  [
    "file:///a.js:1\n  throw new WinnowError(\n        ^\n\nWinnowError: no memory\n  at b\n\nNode.js v20\n",
    "WinnowError: no memory",
  ],
  ["TypeError [ERR_X]: a cause\n    at c\n", "TypeError [ERR_X]: a cause"],
  ["terminate called\nAborted\n", "Aborted"],
  ["", null],
])("of %j a skipped cell tells %j", (said, reason) => {
  expect(reasonIn(said)).toBe(reason);
});

test("of two numbers of threads an engine gets what it was best at", () => {
  const all = measured({ firstTokenMs: 100, stepMs: 9 });
  const fewer = measured({ firstTokenMs: 150, stepMs: 7 });
  expect(faster(all, fewer)).toMatchObject({ sample: { firstTokenMs: 100, stepMs: 7 } });
  expect(faster({ kind: "skipped", why: "" }, fewer)).toBe(fewer);
});

test("verdicts compare what was measured and say where Winnow is behind", () => {
  const { verdicts } = resultOf({
    ...RUN,
    rows: [
      rowFor({}, { stepMs: 10, firstTokenMs: 2000 }),
      rowFor({ peer: "llama.cpp" }, { stepMs: 8, firstTokenMs: 800 }),
      rowFor({ peer: "transformers.js" }, { stepMs: 20, firstTokenMs: 1000 }),
      rowFor({ peer: "winnow half cut", context: 16_000 }, { stepMs: 20, firstTokenMs: null }),
      rowFor({ peer: "llama.cpp", context: 16_000 }, { stepMs: 30, firstTokenMs: null }),
    ],
  });
  expect(verdicts.map(({ met, found }) => [met, found])).toEqual([
    [true, "0.80 (100.0 and 125.0 tokens/s)"],
    [true, "1.50 (50.0 and 33.3 tokens/s)"],
    [false, "0.40 (500.0 and 1250.0 tokens/s)"],
    [false, "ahead in 1 of 2; behind in first token 135m q8_0, 1000: 0.50"],
  ]);
});

test("on a GPU, verdicts are of each model that was asked for", () => {
  const gpu = (peer: Cell["peer"], context: number, stepMs: number) =>
    rowFor({ model: "1b q4_k", peer, context }, { stepMs });
  const { verdicts } = resultOf({
    ...RUN,
    rows: [
      gpu("winnow full on webgpu", 128, 4),
      gpu("llama.cpp on vulkan", 128, 5),
      gpu("winnow half cut on webgpu", 32_000, 7),
      gpu("llama.cpp on vulkan", 32_000, 10),
    ],
  });
  expect(verdicts.slice(-2).map(({ target, met, found }) => [target.split(",")[0], met, found])).toEqual([
    ["1b q4_k on the GPU", true, "1.25 (250.0 and 200.0 tokens/s)"],
    ["1b q4_k on the GPU", false, "1.43 (142.9 and 100.0 tokens/s)"],
  ]);
});

test("what was not measured has no verdict, and a table says why", () => {
  const result = resultOf({
    ...RUN,
    notes: ["a note"],
    rows: [rowFor({}, {}), rowOf({ ...CELL, context: 32_000 }, [{ kind: "skipped", why: "it takes over 60 s" }])],
  });
  expect(result.verdicts.map(({ met }) => met)).toEqual([null, null, null, null]);
  const text = formatPeers(result);
  expect(text).toContain("135m q8_0, 32000, winnow full: skipped, it takes over 60 s");
  expect(text).toContain("not measured: decode at 1,000");
});

test("a result keeps whole numbers and some digits of others", () => {
  expect(JSON.parse(resultText({ bytes: 25276059648, ms: [0.123456789, 1234567.8] }))).toEqual({
    bytes: 25276059648,
    ms: [0.12346, 1234600],
  });
});

test.each(["linear", "logarithmic"] as const)("a %s plot has every line within its picture", (scale) => {
  const points = [128, 16_000].map((x) => ({ x, y: x / 100, least: x / 200, most: x / 50 }));
  const svg = linePlot({
    title: "a < b",
    x: "x",
    y: "y",
    scale,
    ticks: [128, 16_000],
    lines: [{ name: "one", points }],
  });
  expect(svg).toContain("a &lt; b");
  expect(svg).not.toContain("NaN");
  const heights = [...svg.matchAll(/ (?:y[12]|cy)="([^"]+)"/g)].map(([, y]) => Number(y));
  expect(Math.min(...heights)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...heights)).toBeLessThanOrEqual(400);
});
