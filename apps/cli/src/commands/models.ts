import { formatBytes } from "@winnow/profiler";
import { Command } from "commander";

import { cacheFolder } from "../hub/cache-folder";
import { cachedModels, type CachedModel } from "../hub/cached-models";
import { formatModelName } from "../hub/model-name";
import { printJson } from "../output/result";

const EXAMPLES = `
Examples:
  winnow models
  winnow models --json`;

export function modelsCommand(): Command {
  return new Command("models")
    .description("The models that have been pulled.")
    .option("--json", "print one JSON object and nothing else")
    .option("--debug", "show where an error came from")
    .addHelpText("after", EXAMPLES)
    .action(listModels);
}

async function listModels(flags: { readonly json?: boolean }): Promise<void> {
  const cache = cacheFolder(process.env);
  const models = await cachedModels(cache);
  if (flags.json === true) printJson({ cache, models: models.map(modelResult) });
  else if (models.length === 0) process.stdout.write(`no models in ${cache}; winnow pull gets one\n`);
  else process.stdout.write(`${table(models)}\n`);
}

/** What `winnow models --json` prints of a model; later tools rely on it. */
function modelResult({ name, format, bytes, changed, place }: CachedModel): object {
  return {
    name: formatModelName(name),
    format,
    bytes,
    changed: changed.toISOString(),
    complete: place !== null,
    path: place,
  };
}

function table(models: readonly CachedModel[]): string {
  const names = models.map(({ name }) => formatModelName(name));
  const width = Math.max(...names.map((name) => name.length));
  return models
    .map(({ format, bytes, changed, place }, i) => {
      const when = changed.toISOString().slice(0, 16).replace("T", " ");
      const line = `${(names[i] ?? "").padEnd(width)}  ${format.padEnd(11)}  ${formatBytes(bytes).padStart(7)}  ${when}`;
      return place === null ? `${line}  in part` : line;
    })
    .join("\n");
}
