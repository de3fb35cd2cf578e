import { formatMachine } from "../machine";
import type { GpuBenchmarkResult, OperationRow, Rates, ShapeResult, Skipped, TokenRow } from "./result";

/** Kernels of a token that are printed; the others together take less. */
const KERNELS = 8;

/** A result as text: tables under their headings. */
export function formatResult(result: GpuBenchmarkResult): string {
  const { machine, adapter, clock, ceilings, shapes } = result;
  const { copy, product } = ceilings;
  return [
    `${formatMachine(machine)}; ${adapter.name}; times by the ${clock === "gpu" ? "GPU's timestamps" : "wall's clock"}`,
    `ceilings: ${copy.gigabytesPerSecond} GB/s copied (${copy.bytes} bytes; by a kernel ${copy.byKernel}, by a command ` +
      `${copy.byCommand}), ${product.gigaflopsPerSecond} GFLOP/s in products ` +
      `(${product.sizes.map(({ size, gigaflopsPerSecond }) => `${size}: ${gigaflopsPerSecond}`).join(", ")})`,
    ...shapes.map((shape) => ("skipped" in shape ? formatSkipped(shape) : formatShape(shape))),
    "",
  ].join("\n\n");
}

function formatShape(shape: ShapeResult): string {
  const { name, layers, weightBytes, kvType, operations, massTable, prompts, tokens } = shape;
  const lines = [`${name}: ${layers} layers, ${weightBytes} bytes of weights, the cache in ${kvType}`, ""];
  lines.push(
    ...table(
      ["operation", "µs", "dispatches", "GB/s", "GFLOP/s", "of copy", "of product"],
      operations
        .filter(isMeasured)
        .map((row: OperationRow) => [row.name, String(row.microseconds), String(row.dispatches), ...ratesOf(row)]),
    ),
    ...operations.filter(isSkipped).map(formatSkipped),
  );
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
      ["prompt", "ms", "tokens/s"],
      prompts.filter(isMeasured).map((row) => [row.name, String(row.wallMilliseconds), String(row.tokensPerSecond)]),
    ),
    "",
    ...table(
      ["token", "ms", "GPU ms", "CPU µs", "dispatches", "GB/s", "GFLOP/s", "of copy", "of product"],
      tokens
        .filter(isMeasured)
        .map((row: TokenRow) => [
          row.name,
          String(row.wallMilliseconds),
          row.gpuMilliseconds === null ? "-" : String(row.gpuMilliseconds),
          String(row.cpuMicroseconds),
          String(row.dispatches),
          ...ratesOf(row),
        ]),
    ),
  );
  for (const { name: of, kernels } of tokens.filter(isMeasured)) {
    if (kernels.length === 0) continue;
    lines.push(
      "",
      ...table(
        [`kernels of a token, ${of}`, "dispatches", "µs", "share"],
        kernels
          .slice(0, KERNELS)
          .map(({ label, dispatches, microseconds, share }) => [
            label,
            String(dispatches),
            String(microseconds),
            percent(share),
          ]),
      ),
    );
  }
  return lines.join("\n");
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

/** Lines of a table: names to the left, numbers to the right. */
function table(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [heading, ...rows];
  const widths = heading.map((_, i) => Math.max(...lines.map((cells) => cells[i]?.length ?? 0)));
  return lines.map((cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
  );
}
