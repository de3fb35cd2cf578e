import { CONVERT_TYPES, convertModel } from "@winnow/runtime";
import { Command, Option } from "commander";

import { abortOnInterrupt } from "../interrupt";
import { resolveModel } from "../hub/resolve-model";
import { MODEL_PLACES } from "../options/model";
import { progressBar } from "../output/progress";

interface ConvertFlags {
  readonly type: (typeof CONVERT_TYPES)[number];
  readonly force?: boolean;
}

const EXAMPLES = `
Examples:
  winnow convert models/demo demo.gguf --type q8_0
  winnow convert demo.gguf demo-back
  winnow convert big.gguf small.gguf --type q4_k`;

export function convertCommand(): Command {
  return new Command("convert")
    .description("Convert a model between a directory in Hugging Face layout and a GGUF file, and its weights' type.")
    .argument("<from>", MODEL_PLACES)
    .argument("<to>", "what is made: a GGUF file where the name ends in .gguf, else a directory")
    .addOption(new Option("--type <type>", "what matrices are stored as").choices(CONVERT_TYPES).default("f16"))
    .option("--force", "replace a GGUF file that is there already")
    .option("--debug", "show where an error came from")
    .addHelpText("after", EXAMPLES)
    .action(convert);
}

async function convert(from: string, to: string, { type, force }: ConvertFlags): Promise<void> {
  const { signal, stop } = abortOnInterrupt();
  const bar = progressBar("converting", false);
  try {
    const { place } = await resolveModel(from);
    await convertModel(place, to, {
      type,
      force,
      signal,
      onProgress: bar.update,
      onNote: (line) => process.stderr.write(`winnow: ${line}\n`),
    });
  } finally {
    bar.stop();
    stop();
  }
}
