import { WinnowError, type KvType } from "@winnow/core-tensor";
import type { KernelTiming, KernelTuning, WebGpuBackend } from "@winnow/gpu-backend";
import { idsPart, type Model } from "@winnow/runtime";
import { Command } from "commander";

import { cacheFolder } from "../hub/cache-folder";
import { abortOnInterrupt } from "../interrupt";
import { FolderStore } from "../kernels/folder-store";
import { MODEL_PLACES, kvTypeOption, openModel } from "../options/model";
import { whole } from "../options/numbers";
import { progressBar } from "../output/progress";
import { printJson } from "../output/result";

interface TuneFlags {
  readonly model: string;
  readonly context?: number;
  readonly kvType?: KvType;
  readonly roundActivations?: boolean;
  readonly json?: boolean;
}

/** Enough for the products of a long prompt. */
const PROMPT_TOKENS = 64;

const EXAMPLES = `
Examples:
  winnow tune --model models/demo
  winnow tune --model SmolLM2-135M-Q4_0.gguf --round-activations
  winnow run --model models/demo --backend webgpu --prompt "Hello"`;

export function tuneCommand(): Command {
  return new Command("tune")
    .description(
      "Time the kernels that a model could run with on this machine's GPU; --backend webgpu then takes the fastest.",
    )
    .requiredOption("-m, --model <path>", MODEL_PLACES)
    .option("--context <tokens>", "the longest sequence (default: the model's context)", whole(1))
    .addOption(kvTypeOption("how the cache is stored (default: f16)"))
    .option(
      "--round-activations",
      "also try products for which activations are rounded: to eight bits with q8_0, q4_0 and q4_k weights, or to halves",
    )
    .option("--json", "print one JSON object and nothing else")
    .option("--debug", "show where an error came from")
    .addHelpText("after", EXAMPLES)
    .action(tune);
}

async function tune(flags: TuneFlags): Promise<void> {
  const { signal, stop } = abortOnInterrupt();
  using model = await openModel({ ...flags, backend: "webgpu" }, signal);
  const { backend } = model.engine;
  if (!isWebGpu(backend))
    throw new WinnowError("backend", "the kernels of WebGPU alone are tuned, and this is another");
  await useShapes(model, signal);
  const bar = progressBar("timing", flags.json === true);
  let tuning: KernelTuning;
  try {
    const { roundActivations = false } = flags;
    tuning = await backend.tuneKernels({ roundActivations, signal, onProgress: bar.update });
  } finally {
    bar.stop();
    stop();
  }
  const { adapter } = backend.gpu;
  const { clock, timings } = tuning;
  if (flags.json === true) printJson({ adapter: adapter.name, implementation: adapter.implementation, clock, timings });
  else
    process.stdout.write(
      `${adapter.name}, by the ${clock === "gpu" ? "device's" : "host's"} clock\n${tableOf(timings)}${faultsOf(timings)}`,
    );
  const { saveKernelChoices } = await import("@winnow/gpu-backend");
  const store = new FolderStore(cacheFolder(process.env));
  try {
    await saveKernelChoices(store, backend.gpu, tuning);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WinnowError(
      "file",
      `the choices cannot be kept in ${store.folder}: ${reason}; make it writable, or name another folder by WINNOW_CACHE`,
      { cause },
    );
  }
}

/** Read a prompt and write a token, so that the backend has met every product of the model. */
async function useShapes(model: Model, signal: AbortSignal): Promise<void> {
  const { tokenizer, config } = model;
  const count = Math.max(1, Math.min(PROMPT_TOKENS, Math.floor(config.context / 2)));
  const ids = Array.from({ length: count }, (_, i) => i % tokenizer.size);
  using session = model.createSession({ policy: "full" });
  await session.read([idsPart(tokenizer, ids)], { signal });
  await session.read([idsPart(tokenizer, [0])], { signal });
}

/** Of each shape, what is taken where nothing was measured, and what was chosen, with their times. */
function tableOf(timings: readonly KernelTiming[]): string {
  const rows = timings.map(({ shape, candidates, chosen }) => {
    const [first] = candidates;
    const best = candidates.find(({ name }) => name === chosen);
    return [shape, first?.name ?? "", micros(first?.microseconds), chosen ?? "none", micros(best?.microseconds)];
  });
  const lines = [["shape", "default", "µs", "chosen", "µs"], ...rows];
  const widths = lines.reduce((most, cells) => cells.map((cell, i) => Math.max(most[i] ?? 0, cell.length)), [0]);
  const numeric = new Set([2, 4]);
  return lines
    .map((cells) =>
      cells
        .map((cell, i) => (numeric.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
    .concat("\n");
}

/** Kernels that the adapter gets wrong: people may want to tell who makes its driver. */
function faultsOf(timings: readonly KernelTiming[]): string {
  return timings
    .filter(({ wrong }) => wrong.length > 0)
    .map(
      ({ shape, wrong }) =>
        `${shape}: left out ${wrong.join(", ")}, whose results here are others than they should be\n`,
    )
    .join("");
}

function micros(microseconds: number | undefined): string {
  return microseconds === undefined ? "" : microseconds.toFixed(1);
}

function isWebGpu(backend: object): backend is WebGpuBackend {
  return "tuneKernels" in backend;
}
