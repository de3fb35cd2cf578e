import { formatBytes } from "@winnow/profiler";
import { Command } from "commander";

import { cacheFolder } from "../hub/cache-folder";
import { cachedModels, removeModel } from "../hub/cached-models";
import { printJson } from "../output/result";

export function modelsCommand(): Command {
  return new Command("models")
    .description("List the models that were pulled.")
    .option("--json", "print one JSON object and nothing else")
    .option("--debug", "show where an error came from")
    .addHelpText("after", "\nExample:\n  winnow models")
    .action(list);
}

export function rmCommand(): Command {
  return new Command("rm")
    .description("Remove a model that was pulled, or a file of it.")
    .argument("<repo>", "as winnow models lists it")
    .option("--debug", "show where an error came from")
    .addHelpText("after", "\nExample:\n  winnow rm HuggingFaceTB/SmolLM2-135M-Instruct")
    .action(remove);
}

async function list({ json }: { readonly json?: boolean }): Promise<void> {
  const models = await cachedModels();
  if (json === true) {
    printJson({
      cache: cacheFolder(),
      models: models.map(({ name, folder, format, bytes, pulled }) => ({
        name,
        folder,
        format,
        bytes,
        pulled: pulled.toISOString(),
      })),
    });
    return;
  }
  if (models.length === 0) {
    process.stdout.write(`no models in ${cacheFolder()}; winnow pull gets one\n`);
    return;
  }
  const width = Math.max(...models.map(({ name }) => name.length));
  const lines = models.map(
    ({ name, format, bytes, pulled }) =>
      `${name.padEnd(width)}  ${formatBytes(bytes).padStart(9)}  ${format.padEnd(11)}  ${pulled.toISOString().slice(0, 10)}`,
  );
  process.stdout.write(`${lines.join("\n")}\n`);
}

async function remove(text: string): Promise<void> {
  const bytes = await removeModel(text);
  process.stdout.write(`${formatBytes(bytes)} are free again\n`);
}
