import { parseArgs } from "node:util";

import type { Engine } from "./load/load-sample";
import { PEER_MODELS, type PeerModelName } from "./peers/model-names";
import { SHAPE_NAMES, isShapeName, type ShapeName } from "./gpu/shape-names";

export interface BenchmarkOptions {
  /** Print one JSON object instead of text. */
  readonly json: boolean;
}

export interface GpuBenchmarkOptions extends BenchmarkOptions {
  /** A file that gets the JSON object as well; null for none. */
  readonly out: string | null;
  /** In the order in which they are measured. */
  readonly shapes: readonly ShapeName[];
}

export interface ServerBenchmarkOptions extends BenchmarkOptions {
  readonly backend: ServedBackend;
  /** Clients at once; where throughput is measured, at most. */
  readonly clients: number;
  /** Seconds for which to test the server under load; null to measure its throughput. */
  readonly loadSeconds: number | null;
}

export interface LoadBenchmarkOptions extends BenchmarkOptions {
  readonly shape: ShapeName;
  readonly engines: readonly Engine[];
}

export interface SlotsBenchmarkOptions extends BenchmarkOptions {
  /** A folder that gets the JSON object and the plot; null for `.reports`. */
  readonly out: string | null;
  readonly runs: number;
}

export interface PeersBenchmarkOptions extends SlotsBenchmarkOptions {
  /** Where any of these has something, all cells of what was chosen; else the default ones. */
  readonly models: readonly PeerModelName[];
  readonly contexts: readonly number[];
  readonly batches: readonly number[];
}

const SERVED_BACKENDS = ["cpu", "webgpu"] as const;

/** What the server computes on. */
export type ServedBackend = (typeof SERVED_BACKENDS)[number];

/** Benchmarks that have no options of their own. */
const PLAIN = ["cpu", "decode", "plans", "simd"] as const;

/** What a command line asks for. */
export type Asked =
  | ({ readonly kind: (typeof PLAIN)[number] } & BenchmarkOptions)
  | ({ readonly kind: "gpu" } & GpuBenchmarkOptions)
  | ({ readonly kind: "load" } & LoadBenchmarkOptions)
  | ({ readonly kind: "peers" } & PeersBenchmarkOptions)
  | ({ readonly kind: "slots" } & SlotsBenchmarkOptions)
  | ({ readonly kind: "server" } & ServerBenchmarkOptions)
  | UsageError;

export interface UsageError {
  readonly kind: "usage";
  readonly fault: string;
}

export const USAGE = `usage: npm run bench -- [--json]
       npm run bench -- decode [--json]
       npm run bench -- gpu [--json] [--out FILE] [--shape ${SHAPE_NAMES.join("|")}]...
       npm run bench -- plans [--json]
       npm run bench -- simd [--json]
       npm run bench -- load [--json] [--shape ${SHAPE_NAMES.join("|")}] [--backend ${SERVED_BACKENDS.join("|")}]
       npm run bench -- server [--json] [--backend ${SERVED_BACKENDS.join("|")}] [--clients N] [--load [--seconds N]]
       npm run bench -- peers [--json] [--out FOLDER] [--runs N] [--model "${PEER_MODELS.join("|")}"]... [--context N]... [--batch N]...
       npm run bench -- slots [--json] [--out FOLDER] [--runs N]
`;

const DEFAULT_SECONDS = 120;
const MOST_SECONDS = 3600;
const DEFAULT_CLIENTS = 64;
const MOST_CLIENTS = 512;
const DEFAULT_RUNS = 3;
const MOST_RUNS = 100;
const MOST_CONTEXT = 32_000;
const MOST_BATCH = 256;

/** @param argv what follows the program's name. */
export function parseArguments(argv: readonly string[]): Asked {
  const options = {
    json: { type: "boolean" },
    out: { type: "string" },
    shape: { type: "string", multiple: true },
    load: { type: "boolean" },
    seconds: { type: "string" },
    clients: { type: "string" },
    backend: { type: "string" },
    runs: { type: "string" },
    model: { type: "string", multiple: true },
    context: { type: "string", multiple: true },
    batch: { type: "string", multiple: true },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    const [name = "cpu", ...rest] = positionals;
    const { json = false, out = null, shape = [] } = values;
    if (rest.length > 0) return { kind: "usage", fault: `"${rest.join(" ")}" is one argument too many` };
    const unknown = shape.find((asked) => !isShapeName(asked));
    if (unknown !== undefined) {
      return { kind: "usage", fault: `there is no shape "${unknown}"; expected ${SHAPE_NAMES.join(", ")}` };
    }
    const { load = false, seconds, clients, backend: backendName } = values;
    const backend = SERVED_BACKENDS.find((known) => known === (backendName ?? "cpu"));
    if (backend === undefined) {
      return { kind: "usage", fault: `--backend is "${backendName}"; expected ${SERVED_BACKENDS.join(" or ")}` };
    }
    if (backendName !== undefined && name !== "server" && name !== "load") {
      return { kind: "usage", fault: "--backend is an option of the benchmarks load and server" };
    }
    if (load && name !== "server") return { kind: "usage", fault: "--load is an option of the benchmark server" };
    if (!load && seconds !== undefined) return { kind: "usage", fault: "--seconds is an option of --load" };
    if (clients !== undefined && name !== "server") {
      return { kind: "usage", fault: "--clients is an option of the benchmark server" };
    }
    if (name === "gpu") {
      const shapes = SHAPE_NAMES.filter((known) => shape.length === 0 || shape.includes(known));
      return { kind: "gpu", json, out, shapes };
    }
    const { runs, model = [], context = [], batch = [] } = values;
    if (name !== "peers" && model.length + context.length + batch.length > 0) {
      return { kind: "usage", fault: "--model, --context and --batch are options of the benchmark peers" };
    }
    if (name === "peers" || name === "slots") {
      if (shape.length > 0) return { kind: "usage", fault: "--shape is an option of the benchmarks gpu and load" };
      const measured = { json, out, runs: whole("--runs", runs, DEFAULT_RUNS, MOST_RUNS) };
      if (name === "slots") return { kind: "slots", ...measured };
      const strange = model.find((asked) => !PEER_MODELS.some((known) => known === asked));
      if (strange !== undefined) {
        return { kind: "usage", fault: `--model is "${strange}"; expected ${PEER_MODELS.join(", ")}` };
      }
      return {
        kind: "peers",
        ...measured,
        models: PEER_MODELS.filter((known) => model.includes(known)),
        contexts: context.map((text) => whole("--context", text, 1, MOST_CONTEXT)),
        batches: batch.map((text) => whole("--batch", text, 1, MOST_BATCH)),
      };
    }
    if (runs !== undefined) return { kind: "usage", fault: "--runs is an option of the benchmarks peers and slots" };
    const plain = PLAIN.find((known) => known === name);
    if (plain === undefined && name !== "load" && name !== "server") {
      return {
        kind: "usage",
        fault: `there is no benchmark "${name}"; expected cpu, decode, gpu, load, peers, plans, server, simd or slots`,
      };
    }
    if (out !== null) return { kind: "usage", fault: "--out is an option of the benchmarks gpu, peers and slots" };
    if (name === "load") {
      const [only = "1b", ...others] = SHAPE_NAMES.filter((known) => shape.includes(known));
      if (others.length > 0) return { kind: "usage", fault: "--shape is given twice; load takes one" };
      return { kind: "load", json, shape: only, engines: [`winnow on ${backend}`, "llama.cpp"] };
    }
    if (shape.length > 0) return { kind: "usage", fault: "--shape is an option of the benchmarks gpu and load" };
    if (plain !== undefined) return { kind: plain, json };
    return {
      kind: "server",
      json,
      backend,
      clients: whole("--clients", clients, DEFAULT_CLIENTS, MOST_CLIENTS),
      loadSeconds: load ? whole("--seconds", seconds, DEFAULT_SECONDS, MOST_SECONDS) : null,
    };
  } catch (error) {
    return { kind: "usage", fault: error instanceof Error ? error.message : String(error) };
  }
}

function whole(option: string, text: string | undefined, byDefault: number, most: number): number {
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new RangeError(`${option} is "${text}"; expected a whole number from 1 to ${most}`);
}
