import { once } from "node:events";
import { basename } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { parsePlan, type HeadPlan } from "@winnow/profiler";
import { Command, InvalidArgumentError } from "commander";

import { resolveModel } from "../hub/resolve-model";
import { byteCount } from "../options/bytes";
import { readText, sessionOptions, withPolicy, withSweeps, type CacheFlags } from "../options/cache";
import { openModel, withModel, type ModelFlags } from "../options/model";
import { collect, number, whole } from "../options/numbers";

interface ServeFlags extends ModelFlags, CacheFlags {
  readonly host: string;
  readonly port: number;
  readonly kvBudget: number;
  readonly maxQueue: number;
  readonly deadline: number;
  readonly drain: number;
  readonly apiKeyFile?: string;
  readonly rateLimit?: number;
  readonly cors: readonly string[];
  readonly planFile: readonly string[];
  readonly redis?: string;
  readonly logLevel: string;
}

const EXAMPLES = `
Examples:
  winnow serve --model models/demo
  winnow serve --model models/demo --port 9000 --kv-budget 2GiB --policy fastgen --recovery 0.98
  winnow serve --model models/demo --host 0.0.0.0 --api-key-file keys.txt --redis redis://127.0.0.1:6379
  curl http://127.0.0.1:8080/v1/chat/completions -H "content-type: application/json" \\
    -d '{"model":"demo","messages":[{"role":"user","content":"Tom is 31 years old. How old is Tom?"}]}'`;

const seconds = number("a number of seconds above 0, up to 1000000", (x) => x > 0 && x <= 1e6);

export function serveCommand(): Command {
  const command = new Command("serve").description(
    "Serve a model to OpenAI's clients, with all caches within a byte budget; the dashboard is at /.",
  );
  withSweeps(withPolicy(withModel(command)));
  return command
    .option("--host <address>", "where to listen; others than loopback let others in", "127.0.0.1")
    .option("--port <n>", "0 takes any that is free", port, 8080)
    .option("--kv-budget <bytes>", "what all caches may take together, such as 512MiB", byteCount, 512 * 2 ** 20)
    .option("--max-queue <n>", "requests that may wait; more are answered 429", whole(1), 256)
    .option("--deadline <seconds>", "what a request may take from its arrival", seconds, 600)
    .option("--drain <seconds>", "on SIGTERM or Ctrl-C, how long answers may go on", seconds, 30)
    .option("--api-key-file <file>", "let in only who has a key: one a line, plain or as sha256:HASH")
    .option("--rate-limit <n>", "requests a minute of each key (default: no limit)", whole(1))
    .option("--cors <origin>", "let pages of this origin in; may be repeated (default: none)", origins, [])
    .option("--plan-file <file>", "a plan that requests may name by its file's name; may be repeated", collect, [])
    .option("--redis <url>", "share batches with other servers by this Redis (default: this process's own)")
    .option("--log-level <level>", "trace, debug, info, warn, error or silent", "info")
    .addHelpText("after", EXAMPLES)
    .action(serve);
}

async function serve(flags: ServeFlags): Promise<void> {
  // Other commands start without them.
  const { ApiKeys, startServer } = await import("@winnow/server");
  const { pino } = await import("pino");
  const keys = flags.apiKeyFile === undefined ? undefined : await ApiKeys.read(flags.apiKeyFile);
  const session = await sessionOptions(flags);
  const plans = await readPlans(flags.planFile);
  const log = pino(
    { level: logLevel(flags.logLevel, Object.keys(pino.levels.values)), base: null },
    pino.destination({ fd: 2, sync: false }),
  );
  const { name } = await resolveModel(flags.model);
  const model = await openModel(flags, undefined, undefined, flags.kvBudget);
  const server = await startServer(model, name, {
    host: flags.host,
    port: flags.port,
    session,
    plans,
    maxQueue: flags.maxQueue,
    deadlineMs: 1000 * flags.deadline,
    keys,
    requestsPerMinute: flags.rateLimit,
    corsOrigins: flags.cors,
    redisUrl: flags.redis,
    log,
  });
  process.stdout.write(`${server.url}\n`);
  const stop = new AbortController();
  const signals = ["SIGTERM", "SIGINT"] as const;
  const received = Promise.race(signals.map((signal) => once(process, signal, { signal: stop.signal })));
  await received;
  stop.abort();
  log.info(`shutting down; answers under way have ${flags.drain} s`);
  // Who asks twice does not want to wait.
  for (const signal of signals) process.once(signal, () => process.exit(1));
  await server.close(1000 * flags.drain);
  log.flush();
  process.exit(0);
}

async function readPlans(files: readonly string[]): Promise<ReadonlyMap<string, HeadPlan>> {
  const plans = new Map<string, HeadPlan>();
  for (const file of files) plans.set(basename(file), parsePlan(await readText(file, "--plan-file"), file));
  return plans;
}

/** @throws WinnowError `usage` */
function logLevel(text: string, levels: readonly string[]): string {
  if (text === "silent" || levels.includes(text)) return text;
  throw new WinnowError("usage", `--log-level is "${text}"; expected ${levels.join(", ")} or silent`);
}

/** @throws InvalidArgumentError */
function origins(text: string, before: readonly string[]): string[] {
  if (!URL.canParse(text) || new URL(text).origin !== text) {
    throw new InvalidArgumentError(
      `"${text}" is no origin; expected a scheme, a host and perhaps a port, such as https://chat.example.`,
    );
  }
  return [...before, text];
}

function port(text: string): number {
  return number("a whole number from 0 to 65535", (x) => Number.isInteger(x) && x >= 0 && x <= 65535)(text);
}
