import { expect, it } from "vitest";

import { GpuTrace } from "./gpu-trace";

const trace = new GpuTrace([
  { label: "matmul", start: 0, duration: 3_000_000 },
  { label: "rmsNorm", start: 3_500_000, duration: 1_000_000 },
  { label: "matmul", start: 5_000_000, duration: 4_000_000 },
]);

it("adds up the time of each kernel, the longest first", () => {
  expect(trace.totals()).toEqual([
    { label: "matmul", count: 2, total: 7e6, mean: 3.5e6, share: 0.875 },
    { label: "rmsNorm", count: 1, total: 1e6, mean: 1e6, share: 0.125 },
  ]);
});

it("is a table", () => {
  expect(trace.table()).toMatchInlineSnapshot(`
    "kernel   dispatches  total ms  mean µs     %
    matmul            2     7.000   3500.0  87.5
    rmsNorm           1     1.000   1000.0  12.5"
  `);
});

it("is a trace for Chrome, in microseconds", () => {
  expect(trace.toChromeTrace().traceEvents[1]).toEqual({
    name: "rmsNorm",
    cat: "gpu",
    ph: "X",
    ts: 3500,
    dur: 1000,
    pid: 0,
    tid: 0,
  });
});

it("puts dispatches that overlap on tracks of their own, in the order of their beginnings", () => {
  const { traceEvents } = new GpuTrace([
    { label: "a", start: 0, duration: 10_000 },
    { label: "d", start: 12_000, duration: 5000 },
    { label: "b", start: 5000, duration: 10_000 },
    { label: "c", start: 10_000, duration: 2000 },
  ]).toChromeTrace();
  expect(traceEvents.map(({ name, ts, tid }) => [name, ts, tid])).toEqual([
    ["a", 0, 0],
    ["b", 5, 1],
    ["c", 10, 0],
    ["d", 12, 0],
  ]);
});
