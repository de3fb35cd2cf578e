import { KV_TYPES, type Backend, type KvType } from "@winnow/core-tensor";
import { loadModel, openBackend, type BackendName, type Model } from "@winnow/runtime";
import { Option, type Command } from "commander";

import { cacheFolder } from "../hub/cache-folder";
import { resolveModel } from "../hub/resolve-model";
import { FolderStore } from "../kernels/folder-store";
import { progressBar } from "../output/progress";
import { whole } from "./numbers";

export interface ModelFlags {
  readonly model: string;
  readonly backend: BackendName;
  readonly threads?: number;
  readonly context?: number;
  readonly page?: number;
  readonly kvType?: KvType;
  readonly json?: boolean;
}

/** What may be given for a model, wherever one is. */
export const MODEL_PLACES = "a directory in Hugging Face layout, a GGUF file, or the name of a model that was pulled";

export function withModel(command: Command): Command {
  return command
    .requiredOption("-m, --model <path>", MODEL_PLACES)
    .addOption(
      new Option("--backend <name>", "where to compute; auto takes a real GPU where there is one")
        .choices(["cpu", "webgpu", "auto", "reference"])
        .default("auto"),
    )
    .option("--threads <number>", "threads that the CPU computes with (default: its cores, up to 16)", whole(1, 256))
    .option("--context <tokens>", "the longest sequence (default: the model's context)", whole(1))
    .option("--page <slots>", "slots a page of the cache: a power of two from 8 to 256", whole(1))
    .addOption(kvTypeOption("how the cache is stored: f16 on WebGPU only (default: f16 there, f32 on the CPU)"))
    .option("--debug", "show where an error came from");
}

export function kvTypeOption(description: string): Option {
  return new Option("--kv-type <type>", description).choices(KV_TYPES);
}

/**
 * Load the model that the flags name, with a bar on a terminal.
 *
 * @param prepare is given the backend before any weight is loaded.
 * @param kvBudgetBytes what all caches may take together; no limit unless told otherwise.
 */
export async function openModel(
  flags: ModelFlags,
  signal?: AbortSignal,
  prepare?: (backend: Backend) => Promise<void> | undefined,
  kvBudgetBytes?: number,
): Promise<Model> {
  const { place } = await resolveModel(flags.model);
  const bar = progressBar("loading", flags.json === true);
  try {
    return await loadModel(place, {
      context: flags.context,
      // Who mistyped the model hears of that, and not of a GPU that there is none of either.
      backend: () => openPrepared(flags, prepare),
      pageSlots: flags.page,
      kvType: flags.kvType,
      kvBudgetBytes,
      signal,
      onProgress: bar.update,
    });
  } finally {
    bar.stop();
  }
}

async function openPrepared(
  { backend: name, threads }: ModelFlags,
  prepare: ((backend: Backend) => Promise<void> | undefined) | undefined,
): Promise<Backend> {
  const backend = await openBackend(name, {
    threads,
    kernelStore: new FolderStore(cacheFolder(process.env)),
    onNote: (line) => process.stderr.write(`winnow: ${line}\n`),
  });
  try {
    await prepare?.(backend);
    return backend;
  } catch (error) {
    backend[Symbol.dispose]();
    throw error;
  }
}
