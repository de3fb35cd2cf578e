import { WinnowError } from "@winnow/core-tensor";
import { formatBytes } from "@winnow/profiler";
import { Command } from "commander";

import { cacheFolder } from "../hub/cache-folder";
import { endpointOf } from "../hub/endpoint";
import { expectModelName, formatModelName } from "../hub/model-name";
import { abortOnInterrupt } from "../interrupt";
import { downloadProgress } from "../output/download-progress";

const MORE = `
NAME is a repository, OWNER/NAME, perhaps with a revision, OWNER/NAME@REVISION. Of one in Hugging Face layout the files that
winnow reads are pulled. Of GGUF files :FILE names one, by its name in the repository or by its quantisation.

HF_TOKEN      reads what is private or gated; it is sent to the hub alone
HF_ENDPOINT   another hub than https://huggingface.co
WINNOW_CACHE  where models are kept (default: winnow in XDG_CACHE_HOME or ~/.cache, on Windows in %LOCALAPPDATA%)

Examples:
  winnow pull HuggingFaceTB/SmolLM2-135M-Instruct
  winnow pull bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M
  winnow run --model bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M --prompt "Hello"`;

export function pullCommand(): Command {
  return new Command("pull")
    .description("Get a model from a hub; what came before an interruption is gone on with.")
    .argument("<name>", "OWNER/NAME[@REVISION][:FILE]")
    .option("--debug", "show where an error came from")
    .addHelpText("after", MORE)
    .action(pullModel);
}

async function pullModel(text: string): Promise<void> {
  const name = expectModelName(text);
  const endpoint = endpointOf(process.env);
  // Other commands start without them.
  const { pull } = await import("../hub/pull");
  const { signal, stop } = abortOnInterrupt();
  const progress = downloadProgress();
  try {
    const pulled = await pull(name, {
      endpoint,
      root: cacheFolder(process.env),
      signal,
      onNote: progress.note,
      onProgress: progress.update,
    });
    progress.stop();
    const what = pulled.upToDate ? "is up to date" : "has been pulled";
    process.stdout.write(`${formatModelName(pulled.name)} ${what}: ${formatBytes(pulled.bytes)} in ${pulled.dir}\n`);
  } catch (error) {
    progress.stop();
    if (error instanceof WinnowError && error.code === "aborted") {
      process.stderr.write(`winnow: stopped; winnow pull ${text} goes on from here\n`);
    }
    throw error;
  } finally {
    stop();
  }
}
