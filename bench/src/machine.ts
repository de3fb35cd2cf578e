import { cpus } from "node:os";

/** What every result of a benchmark says about where it was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly platform: string;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
}

/** As the first line of a printed result has it. */
export function formatMachine({ cpu, cores, node, platform }: Machine): string {
  return `${cpu}, ${cores} cores, Node ${node}, ${platform}`;
}
