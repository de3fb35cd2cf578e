import type { GenerationReport } from "@winnow/runtime";
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** The rate of tokens is told over so long. */
const RATE_MS = 10_000;

/** A number that is read when it is asked for. */
export interface LiveGauge {
  readonly name: string;
  readonly help: string;
  readonly read: () => number;
}

/** What Prometheus is told at `/metrics`. */
export class ServerMetrics {
  readonly registry = new Registry();
  readonly #requests = new Counter({
    name: "winnow_requests_total",
    help: "Requests by route and status",
    labelNames: ["route", "status"],
    registers: [this.registry],
  });
  readonly #seconds = this.#histogram("winnow_request_seconds", "Seconds from a request to the end of its answer");
  readonly #first = this.#histogram("winnow_time_to_first_token_seconds", "Seconds from a request to its first token");
  readonly #between = this.#histogram("winnow_time_between_tokens_seconds", "Seconds between tokens of an answer");
  readonly #tokens = new Counter({
    name: "winnow_tokens_total",
    help: "Tokens by kind: prompt, cached (those of them that had been read already), generated",
    labelNames: ["kind"],
    registers: [this.registry],
  });
  /** When tokens were written, of late. */
  readonly #recent: number[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Tokens a second of all answers together, over the last ten seconds. */
  get tokensPerSecond(): number {
    this.#dropOld(performance.now());
    return this.#recent.length / (RATE_MS / 1000);
  }

  gauge({ name, help, read }: LiveGauge): void {
    const gauge = new Gauge({
      name,
      help,
      registers: [],
      collect: () => {
        gauge.set(read());
      },
    });
    this.registry.registerMetric(gauge);
  }

  request(route: string, status: number, ms: number): void {
    this.#requests.inc({ route, status: String(status) });
    this.#seconds.observe(ms / 1000);
  }

  firstToken(ms: number): void {
    this.#first.observe(ms / 1000);
    this.#written();
  }

  nextToken(ms: number): void {
    this.#between.observe(ms / 1000);
    this.#written();
  }

  /** @param first whether it is the first answer to its prompt, which was read once for all. */
  answered({ promptTokens, cachedTokens, tokens }: GenerationReport, first: boolean): void {
    this.#tokens.inc({ kind: "generated" }, tokens.length);
    if (!first) return;
    this.#tokens.inc({ kind: "prompt" }, promptTokens);
    this.#tokens.inc({ kind: "cached" }, cachedTokens);
  }

  #written(): void {
    const now = performance.now();
    this.#recent.push(now);
    this.#dropOld(now);
  }

  #dropOld(now: number): void {
    const kept = this.#recent.findIndex((at) => now - at <= RATE_MS);
    this.#recent.splice(0, kept < 0 ? this.#recent.length : kept);
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({ name, help, buckets: SECONDS, registers: [this.registry] });
  }
}
