import { WinnowError } from "@winnow/core-tensor";
import { formatBytes } from "@winnow/profiler";
import { Command } from "commander";

import { formatRepo, parseRepoName } from "../hub/repo-name";
import { abortOnInterrupt } from "../interrupt";
import { progressBar } from "../output/progress";

const EXAMPLES = `
Examples:
  winnow pull HuggingFaceTB/SmolLM2-135M-Instruct
  winnow pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M
  winnow run --model bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M --prompt "Hello"

HF_ENDPOINT names another hub than https://huggingface.co, HF_TOKEN a token for models that are not public, and WINNOW_CACHE
another folder than the system's for caches.`;

export function pullCommand(): Command {
  return new Command("pull")
    .description(
      "Get a model from a hub; it may then be named wherever a path may. An interrupted pull goes on where it ended.",
    )
    .argument("<repo>", "owner/name, with @revision and with :file or what a GGUF file's name says of its quantisation")
    .option("--debug", "show where an error came from")
    .addHelpText("after", EXAMPLES)
    .action(pull);
}

async function pull(text: string): Promise<void> {
  const repo = parseRepoName(text);
  if (repo === null) {
    throw new WinnowError(
      "usage",
      `"${text}" is no model's name; expected owner/name, owner/name@revision or owner/name:file`,
    );
  }
  // Other commands start without it.
  const { pullModel } = await import("../hub/pull");
  const { signal, stop } = abortOnInterrupt();
  const bar = progressBar(`pulling ${formatRepo(repo)}`, false);
  try {
    const { folder, bytes } = await pullModel(repo, {
      signal,
      onBytes: bar.update,
      onFile: (path, size) => {
        if (!process.stderr.isTTY) process.stderr.write(`winnow: getting ${path}, ${formatBytes(size)}\n`);
      },
    });
    bar.stop();
    process.stdout.write(`${folder}\n${formatBytes(bytes)}; winnow run --model ${text} loads it\n`);
  } catch (error) {
    bar.stop();
    if (signal.aborted) process.stderr.write(`winnow: stopped; winnow pull ${text} goes on from here\n`);
    throw error;
  } finally {
    stop();
  }
}
