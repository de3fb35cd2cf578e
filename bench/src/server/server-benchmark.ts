import type { ServedBackend, ServerBenchmarkOptions } from "../arguments";
import { thisMachine } from "../machine";
import { tell } from "../progress";
import { formatLoad, type LoadReport } from "./format-load";
import { formatThroughput, type ThroughputResult } from "./format-throughput";
import { PROMPT_MS } from "./health-watch";
import { testUnderLoad, type LoadTestOptions } from "./load-test";
import { watchLongPrompts, type LongPrompts } from "./long-prompts";
import { ServerProgram } from "./server-program";
import { readSlots } from "./slots-watch";
import { CROWDS, measureThroughput, type ThroughputRow } from "./throughput";
import { judge } from "./verdict";

const MODEL = "models/demo";
/** Room for the full caches of four prompts of 400 tokens. */
const BUDGET = "8MiB";
const MAX_QUEUE = 32;
const POLICIES = ["full", "fastgen", "adaptive"];
const QUESTIONS = 32;

/**
 * Print how `winnow serve` fares under several policies, or under load.
 *
 * @returns whether everything was as it should be.
 * @throws WinnowError `usage` when the server does not start.
 */
export async function runServerBenchmark({
  json,
  backend,
  clients,
  loadSeconds,
}: ServerBenchmarkOptions): Promise<boolean> {
  if (loadSeconds === null) {
    const result = await compareThroughput(backend, clients);
    process.stdout.write(json ? `${JSON.stringify(result, null, 1)}\n` : formatThroughput(result));
    return result.faults.length === 0;
  }
  const report = await loadProgram(backend, { seconds: loadSeconds, clients, questions: QUESTIONS });
  process.stdout.write(json ? `${JSON.stringify(report, null, 1)}\n` : formatLoad(report));
  return report.checks.every(({ passed }) => passed);
}

async function compareThroughput(served: ServedBackend, mostClients: number): Promise<ThroughputResult> {
  const crowds = CROWDS.filter(({ clients }) => clients <= mostClients);
  const rows: ThroughputRow[] = [];
  const prompts: LongPrompts[] = [];
  const faults: string[] = [];
  let backend = "";
  let budgetBytes = NaN;
  for (const policy of POLICIES) {
    using server = await start(served, "--policy", policy);
    const slots = await readSlots(server.url);
    backend = slots.backend;
    budgetBytes = slots.cache.budgetBytes;
    rows.push(...(await measureThroughput(server.url, policy, crowds)));
    prompts.push({ policy, ...(await watchLongPrompts(server.url)) });
    const exitCode = await server.end();
    if (exitCode !== 0) faults.push(`${policy}: the server ended with ${String(exitCode)}, expected 0`);
    if (server.log !== "") faults.push(`${policy}: ${server.log.slice(0, 2000)}`);
  }
  for (const { policy, clients, lost, slots } of rows) {
    const where = `${policy}, ${clients} clients`;
    if (lost > 0) faults.push(`${where}: ${lost} answers were lost`);
    if (slots.overBudget > 0) faults.push(`${where}: ${slots.overBudget} polls found more bytes than the budget`);
    if (slots.failures.length > 0) faults.push(`${where}: /slots failed: ${slots.failures[0] ?? ""}`);
  }
  for (const { policy, health } of prompts) {
    const { ms, late, failures } = health;
    if (ms !== null && late === 0 && failures.length === 0) continue;
    const found = ms === null ? "never" : `${late} of ${ms.count} times later, and failed ${failures.length} times`;
    faults.push(`${policy}: while prompts were read, /health answered within ${PROMPT_MS} ms but for: ${found}`);
  }
  return { machine: thisMachine(), model: MODEL, backend, budgetBytes, maxQueue: MAX_QUEUE, rows, prompts, faults };
}

/** Put the built program under load, end it, and judge it. */
export async function loadProgram(backend: ServedBackend, options: LoadTestOptions): Promise<LoadReport> {
  using server = await start(backend);
  tell(`${options.clients} clients for ${options.seconds} s`);
  const result = await testUnderLoad(server.url, options);
  const exitCode = await server.end();
  const checks = judge(result, { exitCode, log: server.log });
  return { machine: thisMachine(), model: MODEL, maxQueue: MAX_QUEUE, result, checks };
}

function start(backend: ServedBackend, ...flags: readonly string[]): Promise<ServerProgram> {
  const fixed = ["--backend", backend, "--kv-budget", BUDGET, "--max-queue", String(MAX_QUEUE)];
  return ServerProgram.start([...fixed, ...flags]);
}
