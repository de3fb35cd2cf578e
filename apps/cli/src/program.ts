import { Command, CommanderError } from "commander";

import { version } from "../package.json";
import { calibrateCommand } from "./commands/calibrate";
import { chatCommand } from "./commands/chat";
import { convertCommand } from "./commands/convert";
import { evalCommand } from "./commands/eval";
import { estimateCommand } from "./commands/estimate";
import { inspectCommand } from "./commands/inspect";
import { modelsCommand } from "./commands/models";
import { profileCommand } from "./commands/profile";
import { pullCommand } from "./commands/pull";
import { reproduceCommand } from "./commands/reproduce";
import { retrievalCommand } from "./commands/retrieval";
import { rmCommand } from "./commands/rm";
import { runCommand } from "./commands/run";
import { serveCommand } from "./commands/serve";
import { tuneCommand } from "./commands/tune";
import { exitCodeOf, tellFailure } from "./failure";
import { outputClosed } from "./output/closed-output";

/** Everything that can be typed. */
export function makeProgram(): Command {
  const program = new Command("winnow")
    .description("Language models with a KV cache that each attention head cuts for itself.")
    .version(version)
    .helpCommand(false)
    .showSuggestionAfterError()
    .addHelpText("after", "\nEach command has examples: winnow run --help");
  for (const command of [
    runCommand(),
    chatCommand(),
    profileCommand(),
    inspectCommand(),
    evalCommand(),
    calibrateCommand(),
    retrievalCommand(),
    reproduceCommand(),
    estimateCommand(),
    convertCommand(),
    pullCommand(),
    modelsCommand(),
    rmCommand(),
    serveCommand(),
    tuneCommand(),
  ]) {
    program.addCommand(command);
  }
  withoutExit(program);
  return program;
}

/** Run the program. A failure is one line on standard error; `--debug` shows the stack. */
export async function main(argv: readonly string[]): Promise<number> {
  watchOutputs();
  // Node's own listener would print ours as well, in its own words.
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message }) => {
    if (name === "WinnowWarning") process.stderr.write(`winnow: ${message}\n`);
  });
  // What a plug-in prints must not get between the program's own output.
  console.log = console.error;
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

/** A reader that has seen enough, such as head, is no failure; a full disk is one. */
function watchOutputs(): void {
  const failed = (error: NodeJS.ErrnoException): void => {
    if (error.code === "EPIPE") {
      if (outputClosed()) return;
      process.exit(0);
    }
    process.stderr.write(`winnow: the output cannot be written: ${error.message}; free space or give another file\n`);
    process.exit(exitCodeOf(error));
  };
  process.stdout.on("error", failed);
  process.stderr.on("error", () => undefined);
  // Output to a file is written at once, and so fails where it is written.
  process.on("uncaughtException", (error: NodeJS.ErrnoException) => {
    if (error.syscall === "write") failed(error);
    tellFailure(error, true);
    process.exit(exitCodeOf(error));
  });
}
