import { parsePlan, type HeadPlan } from "@winnow/profiler";
import type { Model, SessionOptions } from "@winnow/runtime";

import type { WinnowRequest } from "../api/winnow-schema";
import { PromptLimits } from "../api/prompt-limits";
import { ApiError } from "../http/api-error";
import { Conversations } from "./conversations";
import { ServerMetrics } from "./metrics";
import { Workload, type WorkloadOptions } from "./workload";

export interface DeploymentOptions extends WorkloadOptions {
  /** The model's name for clients. */
  readonly modelId: string;
  /** How caches are cut unless a request says otherwise. */
  readonly session: SessionOptions;
  /** Plans that requests may name. */
  readonly plans: ReadonlyMap<string, HeadPlan>;
}

/** A model, and everything that the routes share. */
export class Deployment implements Disposable {
  readonly modelId: string;
  readonly created = Math.floor(Date.now() / 1000);
  readonly metrics = new ServerMetrics();
  readonly workload: Workload;
  readonly conversations: Conversations;
  readonly limits: PromptLimits;
  readonly #session: SessionOptions;
  readonly #plans: ReadonlyMap<string, HeadPlan>;

  constructor(
    readonly model: Model,
    options: DeploymentOptions,
  ) {
    this.modelId = options.modelId;
    this.#session = options.session;
    this.#plans = options.plans;
    this.workload = new Workload(model, options, this.metrics);
    this.conversations = new Conversations(model);
    this.limits = new PromptLimits(model);
    this.#watch();
  }

  /** The same for the same program, model and backend. */
  get fingerprint(): string {
    return `winnow-${this.model.engine.backend.name}-${this.model.tokenizer.fingerprint}`;
  }

  /** @throws ApiError 404 for another model's name. */
  expectModel(name: string): void {
    if (name === this.modelId) return;
    throw new ApiError(
      404,
      "not_found_error",
      `the model "${name}" is not served here; this server has "${this.modelId}"`,
      { param: "model", code: "model_not_found" },
    );
  }

  /** @throws ApiError 400 for a plan of no known name; WinnowError `plan` for one that does not parse. */
  sessionOptions(asked: WinnowRequest | null | undefined): SessionOptions {
    if (asked == null) return this.#session;
    const { policy, recovery, target, interval, drift, plan, speculate } = asked;
    const base = {
      registry: this.#session.registry,
      interval: interval ?? this.#session.interval,
      speculate: speculate ?? this.#session.speculate,
    };
    if (plan !== undefined) return { ...base, plan: this.#planOf(plan), policy, recovery, target, drift };
    // A policy of one's own takes over neither the threshold of the server's nor its drift, which few policies allow.
    if (policy !== undefined) return { ...base, policy, recovery, target, drift };
    // Either of the two takes the place of the other.
    const aim = recovery === undefined && target === undefined ? this.#session : { recovery, target };
    return {
      ...this.#session,
      ...base,
      recovery: aim.recovery,
      target: aim.target,
      drift: drift ?? this.#session.drift,
    };
  }

  [Symbol.dispose](): void {
    this.conversations[Symbol.dispose]();
    this.model[Symbol.dispose]();
  }

  #planOf(plan: NonNullable<WinnowRequest["plan"]>): HeadPlan {
    if (typeof plan !== "string") return parsePlan(jsonOf(plan, "winnow.plan"), "winnow.plan");
    const known = this.#plans.get(plan);
    if (known !== undefined) return known;
    const names = [...this.#plans.keys()].map((name) => `"${name}"`).join(", ");
    throw new ApiError(
      400,
      "invalid_request_error",
      `there is no plan "${plan}"; this server has ${names === "" ? "none" : names}, and a request may hold one itself`,
      { param: "winnow.plan", code: "invalid_plan" },
    );
  }

  #watch(): void {
    const { cache } = this.model;
    const gauges: Readonly<Record<string, readonly [string, () => number]>> = {
      kv_bytes: ["Bytes of the pages and columns in use", () => this.model.cache.bytes],
      kv_reserved_bytes: ["Bytes of all buffers of the caches", () => this.model.cache.reservedBytes],
      kv_budget_bytes: ["Bytes that the caches may take; 0 for no limit", () => cache.budgetBytes ?? 0],
      prefix_entries: ["Shared beginnings of prompts that are kept", () => this.model.cache.prefixes.entries],
      prefix_hits: ["Prompts whose beginning was kept", () => this.model.cache.prefixes.hits],
      prefix_misses: ["Prompts whose beginning was not kept", () => this.model.cache.prefixes.misses],
      requests_waiting: ["Requests whose prompt has still to be read", () => this.workload.waiting],
      requests_running: ["Requests under way", () => this.workload.jobs.length],
    };
    for (const [name, [help, read]] of Object.entries(gauges))
      this.metrics.gauge({ name: `winnow_${name}`, help, read });
  }
}

/** @throws ApiError 400 where it is nested too deeply to be written. */
function jsonOf(value: object, param: string): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new ApiError(400, "invalid_request_error", `${param} is nested too deeply`, { param, cause });
  }
}
