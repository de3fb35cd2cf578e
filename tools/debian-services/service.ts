import { execFileSync } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

export type ServiceName = "redis-server" | "nginx";

/** A server that tests may start. */
export interface Service {
  readonly program: string;
  /** The environment to start it in. */
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The installed server, or Debian's, unpacked into .cache/.
 *
 * @returns null, with one line on stderr, where there is neither: the suite is to skip
 * @throws where there is neither and WINNOW_REQUIRE_SERVICES=1
 */
export function findService(name: ServiceName): Service | null {
  const script = fileURLToPath(new URL("find-service.mjs", import.meta.url));
  const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
  const output = execFileSync(process.execPath, [script, name], { encoding: "utf8", stdio });
  const found: unknown = JSON.parse(output);
  if (typeof found !== "object" || found === null) throw new Error(`${script} printed ${output}`);
  if ("program" in found && "env" in found && typeof found.env === "object") {
    return { program: String(found.program), env: { ...process.env, ...found.env } };
  }
  const reason = "missing" in found ? String(found.missing) : `${script} printed ${output}`;
  if (process.env.WINNOW_REQUIRE_SERVICES === "1") throw new Error(`WINNOW_REQUIRE_SERVICES=1, but ${reason}`);
  process.stderr.write(`tests with ${name} are skipped: ${reason}\n`);
  return null;
}

/** A port of the loopback interface that nothing listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error(`no port: ${String(address)}`));
        else resolve(address.port);
      });
    });
  });
}
