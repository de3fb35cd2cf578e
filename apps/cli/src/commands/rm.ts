import { formatBytes } from "@winnow/profiler";
import { Command } from "commander";

import { cacheFolder } from "../hub/cache-folder";
import { removeEmptyParents, removeModel } from "../hub/cached-models";
import { expectModelName, formatModelName } from "../hub/model-name";
import { findCached } from "../hub/resolve-model";
import { abortOnInterrupt } from "../interrupt";

const EXAMPLES = `
Examples:
  winnow rm HuggingFaceTB/SmolLM2-135M-Instruct
  winnow rm bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M`;

export function rmCommand(): Command {
  return new Command("rm")
    .description("Delete a model that has been pulled, or what there is of it.")
    .argument("<name>", "as winnow models lists it")
    .option("--debug", "show where an error came from")
    .addHelpText("after", EXAMPLES)
    .action(removePulled);
}

async function removePulled(text: string): Promise<void> {
  const name = expectModelName(text);
  // Other commands start without it.
  const { lockModel } = await import("../hub/model-lock");
  const model = await findCached(cacheFolder(process.env), name);
  const { signal, stop } = abortOnInterrupt();
  {
    await using _ = await lockModel(model.dir, signal, () => {
      process.stderr.write(`winnow: ${formatModelName(model.name)} is being pulled; waiting for that to end\n`);
    });
    await removeModel(model);
  }
  await removeEmptyParents(model);
  stop();
  process.stdout.write(`${formatModelName(model.name)} is gone; ${formatBytes(model.bytes)} are free again\n`);
}
