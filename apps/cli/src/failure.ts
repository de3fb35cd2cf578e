import { WinnowError } from "@winnow/core-tensor";
import { PolicySyntaxError } from "@winnow/kv-policies";

/** Ended by Ctrl-C: 128 + SIGINT, as shells count. */
export const INTERRUPTED = 130;

const USAGE = 2;
const FAILURE = 1;

/** What was typed is at fault: 2. Anything else: 1. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof WinnowError)) return FAILURE;
  if (error.code === "aborted") return INTERRUPTED;
  return error.code === "usage" || error.code === "policy" || error.code === "prompt" ? USAGE : FAILURE;
}

/** One line that says what to do; a policy's text comes with a caret under the place. */
export function tellFailure(error: unknown, debug: boolean): void {
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof WinnowError;
  // Who pressed Ctrl-C knows.
  if (known && error.code === "aborted") return;
  process.stderr.write(
    `winnow: ${known ? message : `unexpected: ${message.split("\n")[0] ?? ""} (--debug shows where)`}\n`,
  );
  if (error instanceof PolicySyntaxError) {
    process.stderr.write(`${error.caret().replaceAll(/^/gm, "  ")}\n`);
  }
  if (debug && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
}
