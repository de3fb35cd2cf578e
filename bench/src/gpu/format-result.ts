import { alignColumns } from "../columns";
import { formatMachine } from "../machine";
import type { GpuBenchmarkResult, KernelShare, Rates, ShapeResult, Skipped } from "./result";
import type { Clock } from "./stopwatch";

/** Kernels of a token or a prompt that are printed; JSON has them all. */
const KERNELS = 8;

const RATES = ["GB/s", "GFLOP/s", "of copy", "of product"];

const CLOCKS: Readonly<Record<Clock, string>> = {
  gpu: "operations and kernels are timed by the GPU's timestamps, ms of prompts and tokens by the wall's clock",
  wall: "the adapter offers no timestamps: everything is timed by the wall's clock, submitting and waiting included",
};

/** A result as text: tables under their headings. */
export function formatResult(result: GpuBenchmarkResult): string {
  const { machine, adapter, clock, ceilings, shapes } = result;
  const { copy, product } = ceilings;
  return [
    `${formatMachine(machine)}; ${adapter.name}`,
    CLOCKS[clock],
    `ceilings: ${copy.gigabytesPerSecond} GB/s copied (${copy.bytes} bytes; by a kernel ${copy.byKernel}, by a command ` +
      `${copy.byCommand}), ${product.gigaflopsPerSecond} GFLOP/s in products ` +
      `(${product.sizes.map(({ size, gigaflopsPerSecond }) => `${size}: ${gigaflopsPerSecond}`).join(", ")})`,
    ...shapes.map((shape) => ("skipped" in shape ? formatSkipped(shape) : formatShape(shape))),
    "",
  ].join("\n\n");
}

function formatShape(shape: ShapeResult): string {
  const { name, layers, weightBytes, kvType, operations, massTable, prompts, tokens } = shape;
  const lines = [
    `${name}: ${layers} layers, ${weightBytes} bytes of weights, the cache in ${kvType}`,
    "",
    ...table(
      ["operation", "µs", "dispatches", ...RATES],
      operations,
      ({ name: of, microseconds, dispatches, ...rates }) => [
        of,
        String(microseconds),
        String(dispatches),
        ...ratesOf(rates),
      ],
    ),
  ];
  if (massTable !== null) {
    lines.push(
      "",
      `a mass table adds to the attention of ${massTable.rows} rows: ${percent(massTable.everyRow)} over all rows, ` +
        `${percent(massTable.oneInEight)} over one in eight`,
    );
  }
  lines.push(
    "",
    ...table(
      ["prompt", "ms", "GPU ms", "tokens/s", "dispatches", "mass table / attention", ...RATES],
      prompts,
      (row) => [
        row.name,
        String(row.wallMilliseconds),
        orDash(row.gpuMilliseconds, String),
        String(row.tokensPerSecond),
        String(row.dispatches),
        orDash(row.massTableOfAttention, percent),
        ...ratesOf(row),
      ],
    ),
    "",
    ...table(["token", "ms", "GPU ms", "CPU µs", "dispatches", "submissions", ...RATES], tokens, (row) => [
      row.name,
      String(row.wallMilliseconds),
      orDash(row.gpuMilliseconds, String),
      String(row.cpuMicroseconds),
      String(row.dispatches),
      String(row.submissions),
      ...ratesOf(row),
    ]),
    ...prompts.filter(isMeasured).flatMap((row) => kernelTable(`kernels of reading, ${row.name}`, row.kernels)),
    ...tokens.filter(isMeasured).flatMap((row) => kernelTable(`kernels of a token, ${row.name}`, row.kernels)),
  );
  return lines.join("\n");
}

function kernelTable(heading: string, kernels: readonly KernelShare[]): string[] {
  if (kernels.length === 0) return [];
  const some = kernels.slice(0, KERNELS);
  return [
    "",
    ...table([heading, "dispatches", "µs", "share"], some, ({ label, dispatches, microseconds, share }) => [
      label,
      String(dispatches),
      String(microseconds),
      percent(share),
    ]),
  ];
}

function isMeasured<Row extends object>(row: Row | Skipped): row is Row {
  return !("skipped" in row);
}

function isSkipped(row: object): row is Skipped {
  return "skipped" in row;
}

function formatSkipped({ name, skipped }: Skipped): string {
  return `${name}: skipped, ${skipped}`;
}

function ratesOf({ gigabytesPerSecond, gigaflopsPerSecond, ofCopy, ofProduct }: Rates): string[] {
  return [String(gigabytesPerSecond), String(gigaflopsPerSecond), percent(ofCopy), percent(ofProduct)];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function orDash(value: number | null, format: (value: number) => string): string {
  return value === null ? "-" : format(value);
}

/** Lines of a table, names to the left and numbers to the right, and below it what was left out and why. */
function table<Row extends object>(
  heading: readonly string[],
  rows: readonly (Row | Skipped)[],
  cellsOf: (row: Row) => readonly string[],
): string[] {
  return [
    ...alignColumns([heading, ...rows.filter(isMeasured).map(cellsOf)]),
    ...rows.filter(isSkipped).map(formatSkipped),
  ];
}
