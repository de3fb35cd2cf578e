import { monitorEventLoopDelay } from "node:perf_hooks";
import { parentPort, workerData } from "node:worker_threads";

import { PROMPT_MS, type HealthSeen } from "./health-watch";
import { spreadOf, tenths } from "./spread";

const EVERY_MS = 100;
const LONGEST_MS = 30_000;
const NANOSECONDS = 1e6;

const url = String(workerData);
const times: number[] = [];
const failures: string[] = [];
const asked = new Set<Promise<void>>();
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

const timer = setInterval(() => {
  const one = probe().finally(() => asked.delete(one));
  asked.add(one);
}, EVERY_MS);

parentPort?.once("message", () => {
  clearInterval(timer);
  void Promise.all(asked).then(() => {
    delay.disable();
    const seen: HealthSeen = {
      ms: spreadOf(times),
      late: times.filter((ms) => ms > PROMPT_MS).length,
      failures,
      ownDelayMs: { p99: tenths(delay.percentile(99) / NANOSECONDS), max: tenths(delay.max / NANOSECONDS) },
    };
    parentPort?.postMessage(seen);
  });
});

async function probe(): Promise<void> {
  const started = performance.now();
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(LONGEST_MS) });
    await response.arrayBuffer();
    times.push(performance.now() - started);
    if (response.status !== 200) failures.push(`status ${response.status}`);
  } catch (error) {
    failures.push(String(error));
  }
}
