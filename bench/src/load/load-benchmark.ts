import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { formatBytes } from "@winnow/profiler";
import { percentiles } from "@winnow/runtime";

import type { LoadBenchmarkOptions } from "../arguments";
import { alignColumns } from "../columns";
import { SHAPES } from "../gpu/shapes";
import { keptGguf } from "../kept-file";
import { formatMachine, thisMachine } from "../machine";
import { tell } from "../progress";
import { loadSampleSchema, type Engine, type LoadSample } from "./load-sample";

const TYPES = ["f16", "q8_0", "q4_k"] as const;
const RUNS = 3;
const run = promisify(execFile);

interface LoadRow {
  readonly type: string;
  readonly fileBytes: number;
  readonly engine: Engine;
  readonly loadMs: number;
  readonly readyMs: number;
  readonly peakBytes: number;
  readonly deviceBytes: number | null;
}

/** Print how long loading takes and how much memory, beside llama.cpp on the same files: medians of interleaved runs. */
export async function runLoadBenchmark({ json, shape, engines }: LoadBenchmarkOptions): Promise<void> {
  const rows: LoadRow[] = [];
  for (const type of TYPES) {
    const path = await modelFile(shape, type);
    const { size: fileBytes } = await stat(path);
    const samples = new Map<Engine, LoadSample[]>(engines.map((engine) => [engine, []]));
    for (let i = 0; i < RUNS; i++) {
      for (const engine of engines) {
        tell(`${shape} in ${type}: ${engine}, ${i + 1} of ${RUNS}`);
        samples.get(engine)?.push(await sampleOf(engine, path));
      }
    }
    for (const [engine, of] of samples) {
      const median = (value: (sample: LoadSample) => number): number => percentiles(of.map(value))?.p50 ?? NaN;
      rows.push({
        type,
        fileBytes,
        engine,
        loadMs: median(({ loadMs }) => loadMs),
        readyMs: median(({ readyMs }) => readyMs),
        peakBytes: median(({ peakBytes }) => peakBytes),
        deviceBytes: of[0]?.deviceBytes ?? null,
      });
    }
  }
  const result = { machine: thisMachine(), shape, runs: RUNS, rows };
  process.stdout.write(json ? `${JSON.stringify(result, null, 1)}\n` : formatRows(shape, rows));
}

function formatRows(shape: string, rows: readonly LoadRow[]): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const lines = alignColumns([
    ["file", "bytes", "engine", "loaded", "first token", "peak memory"],
    ...rows.map(({ type, fileBytes, engine, loadMs, readyMs, peakBytes }) => [
      type,
      formatBytes(fileBytes),
      engine,
      seconds(loadMs),
      seconds(readyMs),
      formatBytes(peakBytes),
    ]),
  ]);
  return `${formatMachine(thisMachine())}\n${shape}, medians of ${RUNS} runs\n\n${lines.join("\n")}\n`;
}

async function sampleOf(engine: Engine, path: string): Promise<LoadSample> {
  const probe = fileURLToPath(new URL("load-probe.js", import.meta.url));
  const { stdout } = await run(process.execPath, [probe, engine, path], { maxBuffer: 2 ** 20 });
  return loadSampleSchema.parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
}

function modelFile(shape: LoadBenchmarkOptions["shape"], type: (typeof TYPES)[number]): Promise<string> {
  const known = SHAPES[shape];
  return keptGguf(shape, type, { name: known.name, config: known.kind === "demo" ? null : known.config });
}
