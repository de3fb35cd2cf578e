import { parseArgs } from "node:util";

export interface BenchmarkOptions {
  /** Print one JSON object instead of text. */
  readonly json: boolean;
}

export interface GpuBenchmarkOptions extends BenchmarkOptions {
  /** A file that gets the JSON object as well; null for none. */
  readonly out: string | null;
}

/** What a command line asks for. */
export type Asked =
  ({ readonly kind: "cpu" } & BenchmarkOptions) | ({ readonly kind: "gpu" } & GpuBenchmarkOptions) | UsageError;

export interface UsageError {
  readonly kind: "usage";
  readonly fault: string;
}

export const USAGE = `usage: npm run bench -- [--json]
       npm run bench -- gpu [--json] [--out FILE]
`;

/** @param argv what follows the program's name. */
export function parseArguments(argv: readonly string[]): Asked {
  const options = { json: { type: "boolean" }, out: { type: "string" } } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    const [name = "cpu", ...rest] = positionals;
    const json = values.json ?? false;
    const out = values.out ?? null;
    if (rest.length > 0) return { kind: "usage", fault: `"${rest.join(" ")}" is one argument too many` };
    if (name === "gpu") return { kind: "gpu", json, out };
    if (name !== "cpu") return { kind: "usage", fault: `there is no benchmark "${name}"; expected cpu or gpu` };
    if (out !== null) return { kind: "usage", fault: "--out is an option of the benchmark gpu" };
    return { kind: "cpu", json };
  } catch (error) {
    return { kind: "usage", fault: error instanceof Error ? error.message : String(error) };
  }
}
