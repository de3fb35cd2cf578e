import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";

import { repositoryRoot } from "../repository";
import { expectLoopback } from "./loopback";

const START_MS = 60_000;
/** Longer than the server waits for answers under way. */
const END_MS = 45_000;
/** What Dawn says of every software adapter, and the program's own notice of one. */
const EXPECTED = /^(Warning: max\w+ artificially reduced .*|winnow: there is no GPU, .*)$/;
/** Characters of its log that are kept. */
const MOST_LOG = 100_000;

/** `winnow serve` of the demo model, in a process of its own. */
export class ServerProgram implements Disposable {
  readonly #ended: Promise<void>;

  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly readLog: () => string,
    ended: Promise<void>,
  ) {
    this.#ended = ended;
  }

  /**
   * Start it on a free port of 127.0.0.1.
   *
   * @param flags besides model, port and log level.
   * @throws WinnowError `usage` when it is not built or does not start.
   */
  static async start(flags: readonly string[]): Promise<ServerProgram> {
    const root = repositoryRoot();
    const program = join(root, "apps/cli/dist/winnow.js");
    if (!existsSync(program)) throw new WinnowError("usage", `${program} is missing; build it first (npm run build)`);
    const fixed = ["--model", join(root, "models/demo"), "--port", "0", "--log-level", "warn"];
    const child = spawn(process.execPath, [program, "serve", ...fixed, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    const ended = once(child, "close").then(() => undefined);
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (log.length < MOST_LOG) log += text;
    });
    const url = await firstLine(child);
    if (url === null) {
      child.kill("SIGKILL");
      throw new WinnowError("usage", `winnow serve did not start: ${log.trim().slice(0, 1000)}`);
    }
    expectLoopback(url);
    return new ServerProgram(url, child, () => log, ended);
  }

  /** What it has warned of so far; nothing, where all is well. */
  get log(): string {
    const lines = this.readLog().split("\n");
    return lines.filter((line) => line !== "" && !EXPECTED.test(line)).join("\n");
  }

  /** End it as an operator does. @returns its exit code; null where it had to be killed. */
  async end(): Promise<number | null> {
    this.child.kill("SIGTERM");
    const killed = setTimeout(() => this.child.kill("SIGKILL"), END_MS);
    await this.#ended;
    clearTimeout(killed);
    return this.child.exitCode;
  }

  [Symbol.dispose](): void {
    if (this.child.exitCode === null) this.child.kill("SIGKILL");
  }
}

/** @returns null where it ends, or takes too long, before it has printed one. */
function firstLine(child: ChildProcess): Promise<string | null> {
  return new Promise((resolve) => {
    let text = "";
    const late = setTimeout(() => {
      resolve(null);
    }, START_MS);
    const settle = (line: string | null): void => {
      clearTimeout(late);
      resolve(line);
    };
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end >= 0) settle(text.slice(0, end).trim());
    });
    child.on("close", () => {
      settle(null);
    });
  });
}
