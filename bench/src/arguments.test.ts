import { expect, test } from "vitest";

import { parseArguments } from "./arguments";

const ALL = ["demo", "1b", "8b"];

test.each([
  [[], { kind: "cpu", json: false }],
  [["cpu", "--json"], { kind: "cpu", json: true }],
  [["gpu"], { kind: "gpu", json: false, out: null, shapes: ALL }],
  [["--out", "a.json", "gpu", "--json"], { kind: "gpu", json: true, out: "a.json", shapes: ALL }],
  [["gpu", "--shape", "8b", "--shape", "demo"], { kind: "gpu", json: false, out: null, shapes: ["demo", "8b"] }],
  [["decode"], { kind: "decode", json: false }],
  [["simd"], { kind: "simd", json: false }],
  [["plans", "--json"], { kind: "plans", json: true }],
  [["load"], { kind: "load", json: false, shape: "1b", engines: ["winnow on cpu", "llama.cpp"] }],
  [
    ["load", "--shape", "demo", "--backend", "webgpu", "--json"],
    { kind: "load", json: true, shape: "demo", engines: ["winnow on webgpu", "llama.cpp"] },
  ],
  [["peers"], { kind: "peers", json: false, out: null, runs: 3, models: [], contexts: [], batches: [] }],
  [
    ["peers", "--model", "demo f16", "--context", "128", "--batch", "1", "--batch", "8", "--runs", "1", "--out", "a"],
    { kind: "peers", json: false, out: "a", runs: 1, models: ["demo f16"], contexts: [128], batches: [1, 8] },
  ],
  [["slots", "--runs", "5"], { kind: "slots", json: false, out: null, runs: 5 }],
  [["server"], { kind: "server", json: false, backend: "cpu", clients: 64, loadSeconds: null }],
  [
    ["server", "--backend", "webgpu", "--clients", "4"],
    { kind: "server", json: false, backend: "webgpu", clients: 4, loadSeconds: null },
  ],
  [["server", "--load"], { kind: "server", json: false, backend: "cpu", clients: 64, loadSeconds: 120 }],
  [
    ["server", "--json", "--load", "--seconds", "3", "--clients", "8"],
    { kind: "server", json: true, backend: "cpu", clients: 8, loadSeconds: 3 },
  ],
])("%j is understood", (argv, asked) => {
  expect(parseArguments(argv)).toEqual(asked);
});

test.each([
  [["tpu"], 'there is no benchmark "tpu"; expected cpu, decode, gpu, load, peers, plans, server, simd or slots'],
  [["gpu", "cpu"], '"cpu" is one argument too many'],
  [["--out", "a.json"], "--out is an option of the benchmarks gpu, peers and slots"],
  [["--shape", "1b"], "--shape is an option of the benchmarks gpu and load"],
  [["gpu", "--shape", "70b"], 'there is no shape "70b"; expected demo, 1b, 8b'],
  [["load", "--shape", "demo", "--shape", "1b"], "--shape is given twice; load takes one"],
  [["--load"], "--load is an option of the benchmark server"],
  [["server", "--seconds", "3"], "--seconds is an option of --load"],
  [["server", "--load", "--seconds", "0"], '--seconds is "0"; expected a whole number from 1 to 3600'],
  [["server", "--load", "--clients", "1e9"], '--clients is "1e9"; expected a whole number from 1 to 512'],
  [["server", "--out", "a.json"], "--out is an option of the benchmarks gpu, peers and slots"],
  [["server", "--backend", "tpu"], '--backend is "tpu"; expected cpu or webgpu'],
  [["--clients", "3"], "--clients is an option of the benchmark server"],
  [["gpu", "--backend", "webgpu"], "--backend is an option of the benchmarks load and server"],
  [
    ["peers", "--model", "7b"],
    '--model is "7b"; expected 135m q8_0, 135m f16, 1b f16, 1b q4_k, 8b f16, 8b q4_k, demo f16',
  ],
  [["peers", "--context", "64k"], '--context is "64k"; expected a whole number from 1 to 32000'],
  [["slots", "--batch", "8"], "--model, --context and --batch are options of the benchmark peers"],
  [["cpu", "--runs", "8"], "--runs is an option of the benchmarks peers and slots"],
  [["--fast"], "'--fast'"],
  [["gpu", "--out"], "'--out <value>'"],
])("%j is refused", (argv, fault) => {
  expect(parseArguments(argv)).toEqual({ kind: "usage", fault: expect.stringContaining(fault) as unknown });
});
