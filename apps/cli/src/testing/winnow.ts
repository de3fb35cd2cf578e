import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";

/** The built program. */
export const PROGRAM = join(import.meta.dirname, "../../dist/winnow.js");

/** The demo model's folder. */
export const DEMO = join(import.meta.dirname, "../../../../models/demo");

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called when the program has been started. */
  readonly started?: (child: ChildProcess) => void;
}

/** Commands that compute: the tests' figures are the CPU's, whatever GPU there is. */
const COMPUTING = new Set(["run", "chat", "profile"]);

/** Run the built program, as a user's shell would. */
export function winnow(args: readonly string[], { input, env, started }: RunOptions = {}): Promise<Outcome> {
  const onCpu = COMPUTING.has(args[0] ?? "") && !args.includes("--backend") ? ["--backend", "cpu"] : [];
  const child = spawn(process.execPath, [PROGRAM, ...args, ...onCpu], {
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
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
