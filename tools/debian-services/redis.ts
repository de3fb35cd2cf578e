import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort, type Service } from "./service.ts";

/** A Redis of a test's own; disposing of it stops the process. */
export interface RunningRedis extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts a Redis on the loopback interface that keeps nothing on disk.
 *
 * @param port a free one by default
 * @throws with its last output where it ends before it takes connections
 */
export async function startRedis(service: Service, port?: number): Promise<RunningRedis> {
  const chosen = port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), "winnow-redis-"));
  const options = [
    "--bind",
    "127.0.0.1",
    "--port",
    String(chosen),
    "--dir",
    folder,
    "--save",
    "",
    "--appendonly",
    "no",
  ];
  const child = spawn(service.program, options, { env: service.env, stdio: ["ignore", "pipe", "pipe"] });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await rm(folder, { recursive: true, force: true });
  };
  let output = "";
  try {
    await new Promise<void>((resolve, reject) => {
      const hear = (chunk: Buffer): void => {
        output += chunk.toString();
        if (output.includes("Ready to accept connections")) resolve();
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        reject(new Error(`redis-server ended with ${String(code ?? signal)}: ${output.trim().slice(-500)}`));
      });
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `redis://127.0.0.1:${chosen}`, [Symbol.asyncDispose]: stop };
}
