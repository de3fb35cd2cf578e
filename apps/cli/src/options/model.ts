import { WinnowError, type Backend } from "@winnow/core-tensor";
import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";
import { loadModel, type Model } from "@winnow/runtime";
import { Option, type Command } from "commander";

import { progressBar } from "../output/progress";
import { whole } from "./numbers";

export interface ModelFlags {
  readonly model: string;
  readonly backend: "cpu" | "webgpu" | "auto";
  readonly page?: number;
  readonly json?: boolean;
}

export function withModel(command: Command): Command {
  return command
    .requiredOption("-m, --model <dir>", "a model in Hugging Face layout")
    .addOption(new Option("--backend <name>", "where to compute").choices(["cpu", "webgpu", "auto"]).default("auto"))
    .option("--page <slots>", "slots a page of the cache: a power of two from 8 to 256", whole(1))
    .option("--debug", "show where an error came from");
}

/** Load the model that the flags name, with a bar on a terminal. */
export async function openModel(flags: ModelFlags, signal?: AbortSignal): Promise<Model> {
  const backend = makeBackend(flags.backend);
  const bar = progressBar("loading", flags.json === true);
  try {
    return await loadModel(flags.model, { backend, pageSlots: flags.page, signal, onProgress: bar.update });
  } catch (error) {
    backend[Symbol.dispose]();
    throw error;
  } finally {
    bar.stop();
  }
}

function makeBackend(name: ModelFlags["backend"]): Backend {
  if (name === "webgpu") {
    throw new WinnowError(
      "backend",
      "--backend webgpu: this version computes on the CPU only; use --backend cpu or leave it out",
    );
  }
  return createCpuWorkerBackend();
}
