import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { freePort, type Service } from "../../../tools/debian-services/service.ts";

/**
 * Starts nginx with the very nginx.conf of this folder, in which only the ports are others.
 *
 * @param replicas the ports that stand for 8081 and 8082
 */
export async function startNginx(
  service: Service,
  replicas: readonly [number, number],
): Promise<AsyncDisposable & { readonly url: string }> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "winnow-nginx-"));
  // Started by root, nginx works as somebody else, who has to get in.
  await chmod(folder, 0o755);
  const path = fileURLToPath(new URL("../nginx.conf", import.meta.url));
  const changes: readonly (readonly [string, string])[] = [
    ["listen 8080;", `listen 127.0.0.1:${port};`],
    ["server 127.0.0.1:8081 ", `server 127.0.0.1:${replicas[0]} `],
    ["server 127.0.0.1:8082 ", `server 127.0.0.1:${replicas[1]} `],
  ];
  let config = await readFile(path, "utf8");
  for (const [from, to] of changes) {
    if (config.split(from).length !== 2) throw new Error(`${path} has not exactly one "${from}"`);
    config = config.replace(from, to);
  }
  await writeFile(join(folder, "nginx.conf"), config);
  const args = ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr", "-g", "daemon off;"];
  const child = spawn(service.program, args, { env: service.env, stdio: ["ignore", "ignore", "pipe"] });
  const spawned = once(child, "spawn");
  let output = "";
  child.stderr.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = async (): Promise<void> => {
    if (!hasEnded() && child.pid !== undefined) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await spawned;
    for (let tries = 0; !(await takesConnections(port)); tries++) {
      if (hasEnded() || tries > 200) throw new Error(`nginx does not listen: ${output.trim().slice(-1000)}`);
      await sleep(25);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}
