import { parseArgs } from "node:util";

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

/** What a command line asks for. */
export type Asked =
  ({ readonly kind: "cpu" } & BenchmarkOptions) | ({ readonly kind: "gpu" } & GpuBenchmarkOptions) | UsageError;

export interface UsageError {
  readonly kind: "usage";
  readonly fault: string;
}

export const USAGE = `usage: npm run bench -- [--json]
       npm run bench -- gpu [--json] [--out FILE] [--shape ${SHAPE_NAMES.join("|")}]...
`;

/** @param argv what follows the program's name. */
export function parseArguments(argv: readonly string[]): Asked {
  const options = {
    json: { type: "boolean" },
    out: { type: "string" },
    shape: { type: "string", multiple: true },
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
    if (name === "gpu") {
      const shapes = SHAPE_NAMES.filter((known) => shape.length === 0 || shape.includes(known));
      return { kind: "gpu", json, out, shapes };
    }
    if (name !== "cpu") return { kind: "usage", fault: `there is no benchmark "${name}"; expected cpu or gpu` };
    if (out !== null) return { kind: "usage", fault: "--out is an option of the benchmark gpu" };
    if (shape.length > 0) return { kind: "usage", fault: "--shape is an option of the benchmark gpu" };
    return { kind: "cpu", json };
  } catch (error) {
    return { kind: "usage", fault: error instanceof Error ? error.message : String(error) };
  }
}
