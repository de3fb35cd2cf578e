import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";

const PROGRAM = join(import.meta.dirname, "../../dist/winnow.js");

/** The demo model's folder. */
export const DEMO = join(import.meta.dirname, "../../../../models/demo");

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  /** Called when the program has been started. */
  readonly started?: (child: ChildProcess) => void;
}

/** Run the built program, as a user's shell would. */
export function winnow(args: readonly string[], { input, started }: RunOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { env: { ...process.env, NO_COLOR: "1" } });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(input ?? "");
  started?.(child);
  return new Promise((resolve) => {
    child.on("close", (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}
