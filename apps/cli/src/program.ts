import { Command, CommanderError } from "commander";

import { version } from "../package.json";
import { chatCommand } from "./commands/chat";
import { estimateCommand } from "./commands/estimate";
import { inspectCommand } from "./commands/inspect";
import { profileCommand } from "./commands/profile";
import { runCommand } from "./commands/run";
import { exitCodeOf, tellFailure } from "./failure";

/** Everything that can be typed. */
export function makeProgram(): Command {
  const program = new Command("winnow")
    .description("Language models with a KV cache that each attention head cuts for itself.")
    .version(version)
    .helpCommand(false)
    .showSuggestionAfterError()
    .addHelpText("after", "\nEach command has examples: winnow run --help");
  for (const command of [runCommand(), chatCommand(), profileCommand(), inspectCommand(), estimateCommand()]) {
    program.addCommand(command);
  }
  withoutExit(program);
  return program;
}

/** Run the program. A failure is one line on standard error; `--debug` shows the stack. */
export async function main(argv: readonly string[]): Promise<number> {
  endQuietlyOnClosedPipe();
  process.on("warning", ({ name, message }) => {
    if (name === "WinnowWarning") process.stderr.write(`winnow: ${message}\n`);
  });
  // Node prints every warning itself unless somebody has turned that off; ours are told above.
  process.noDeprecation = true;
  try {
    await makeProgram().parseAsync(argv);
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    tellFailure(error, argv.includes("--debug"));
    return exitCodeOf(error);
  }
}

/** Let commander's failures reach `main`, in the program's own words. */
function withoutExit(command: Command): void {
  command.exitOverride().configureOutput({
    outputError: (text, write) => {
      write(text.replace(/^error: /, "winnow: ").replaceAll(/\n(?=.)/g, " "));
    },
  });
  command.commands.forEach(withoutExit);
}

/** A reader that has seen enough, such as head, is no failure. */
function endQuietlyOnClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}
