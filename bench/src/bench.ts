import { WinnowError } from "@winnow/core-tensor";

import { USAGE, parseArguments } from "./arguments";

/** @returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const asked = parseArguments(argv);
  switch (asked.kind) {
    case "usage":
      process.stderr.write(`${asked.fault}\n${USAGE}`);
      return 2;
    // Each benchmark loads only what it measures.
    case "cpu":
      await (await import("./cpu/cpu-benchmark")).runCpuBenchmark(asked);
      return 0;
    case "decode":
      await (await import("./decode/decode-benchmark")).runDecodeBenchmark(asked);
      return 0;
    case "gpu":
      await (await import("./gpu/gpu-benchmark")).runGpuBenchmark(asked);
      return 0;
    case "plans":
      await (await import("./plans/plans-benchmark")).runPlansBenchmark(asked);
      return 0;
    case "load":
      await (await import("./load/load-benchmark")).runLoadBenchmark(asked);
      return 0;
    case "peers":
      await (await import("./peers/peers-benchmark")).runPeersBenchmark(asked);
      return 0;
    case "simd":
      await (await import("./simd/simd-benchmark")).runSimdBenchmark(asked);
      return 0;
    case "slots":
      await (await import("./slots/slots-benchmark")).runSlotsBenchmark(asked);
      return 0;
    case "server":
      return (await (await import("./server/server-benchmark")).runServerBenchmark(asked)) ? 0 : 1;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof WinnowError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
