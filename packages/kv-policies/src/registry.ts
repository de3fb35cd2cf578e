import { WinnowError, type Expr } from "@winnow/core-tensor";

import { formatAmount, type Amount } from "./amount";
import { Policy, type HeadView } from "./policy";
import { PRESETS } from "./presets";
import { STATISTICS } from "./score";

/** A policy of one's own: a name for an expression, with amounts as parameters. */
export interface PolicyPlugin {
  readonly kind: "policy";
  readonly name: string;
  readonly description?: string;
  build(...amounts: readonly Amount[]): Policy;
}

/** A statistic of one's own: an expression over others, or a function of a head's slots. */
export type StatisticPlugin = {
  readonly kind: "statistic";
  readonly name: string;
  readonly description?: string;
} & (
  | { readonly expr: Expr }
  /** One value a slot. Without shader source the columns it needs are downloaded at each cut. */
  | { readonly needs: readonly string[]; compute(head: HeadView): Float32Array }
);

/** What a strategy decides over: one layer, whole. */
export interface LayerView {
  readonly layer: number;
  /** One a KV head, with the columns that the strategy asked for. */
  readonly heads: readonly HeadView[];
  /** The threshold that was asked for; null without one. */
  readonly recovery: number | null;
}

/** Decides for all heads of a layer at once, such as how they share a budget. */
export interface StrategyPlugin {
  readonly kind: "strategy";
  readonly name: string;
  readonly description?: string;
  /** Columns that `decide` reads, such as `mass`. */
  readonly needs: readonly string[];
  /** One policy a head. */
  decide(layer: LayerView): readonly Policy[];
}

export type Plugin = PolicyPlugin | StatisticPlugin | StrategyPlugin;

/**
 * @example
 * ```ts
 * export default definePolicy({ name: "edges", build: (x = amountOf(0.2)) => union(sink(4), recent(x)) });
 * ```
 */
export const definePolicy = (plugin: Omit<PolicyPlugin, "kind">): PolicyPlugin => ({ kind: "policy", ...plugin });

/**
 * @example
 * ```ts
 * export default defineStatistic({ name: "density", expr: parseScore("mass / valueNorm") });
 * ```
 */
export function defineStatistic(plugin: WithoutKind<StatisticPlugin>): StatisticPlugin {
  return { kind: "statistic", ...plugin };
}

/**
 * @example
 * ```ts
 * export default defineStrategy({
 *   name: "alternate",
 *   needs: [],
 *   decide: ({ heads }) => heads.map((_, h) => (h % 2 === 0 ? full() : recent(64))),
 * });
 * ```
 */
export const defineStrategy = (plugin: Omit<StrategyPlugin, "kind">): StrategyPlugin => ({ kind: "strategy", ...plugin });

type WithoutKind<T> = T extends unknown ? Omit<T, "kind"> : never;

const NAME = /^[A-Za-z][\w-]*$/;

/** Names with a meaning of their own in a policy's text. */
const RESERVED = new Set([
  ...["full", "none", "special", "punctuation", "tokens", "sink", "every", "frequent", "recent", "top", "limit"],
  ...Object.keys(PRESETS),
  ...Object.keys(STATISTICS),
]);

/** The plug-ins that a program knows, by name. */
export class PolicyRegistry {
  readonly #plugins = new Map<string, Plugin>();

  get policyNames(): string[] {
    return this.#names("policy");
  }

  get statisticNames(): string[] {
    return this.#names("statistic");
  }

  get strategyNames(): string[] {
    return this.#names("strategy");
  }

  /**
   * Make a plug-in known.
   *
   * @param origin names where it comes from in messages, such as a file.
   * @throws WinnowError `plugin` when it is not one, or its name is taken.
   */
  register(plugin: unknown, origin = "a plug-in"): void {
    const checked = checkPlugin(plugin, origin);
    if (RESERVED.has(checked.name) || this.#plugins.has(checked.name)) {
      throw new WinnowError("plugin", `${origin}: the name "${checked.name}" is taken; choose another`);
    }
    this.#plugins.set(checked.name, checked);
  }

  /**
   * Register everything in a module that is a plug-in.
   *
   * @throws WinnowError `plugin` when there is none.
   */
  use(module: Readonly<Record<string, unknown>>, origin: string): void {
    const found = new Set(Object.values(module).flat().filter(looksLikePlugin));
    if (found.size === 0) {
      throw new WinnowError("plugin", `${origin} exports no plug-in; export what definePolicy, defineStatistic or defineStrategy returns`);
    }
    for (const plugin of found) this.register(plugin, origin);
  }

  /** A policy by name, or null. */
  policy(name: string): { build(amounts: readonly Amount[]): Policy } | null {
    const plugin = this.#plugins.get(name);
    if (plugin?.kind !== "policy") return null;
    return {
      build: (amounts) => {
        const built: unknown = callPlugin(plugin, `build(${amounts.map(formatAmount).join(", ")})`, () => plugin.build(...amounts));
        if (!(built instanceof Policy)) throw pluginError(plugin, "build", "gave something else than a policy");
        return built;
      },
    };
  }

  /** A plug-in statistic's score, or null: an expression, or the column that its function fills. */
  score(name: string): Expr | null {
    const plugin = this.#plugins.get(name);
    if (plugin?.kind !== "statistic") return null;
    return "expr" in plugin ? plugin.expr : { op: "column", name };
  }

  strategy(name: string): Strategy | null {
    const plugin = this.#plugins.get(name);
    return plugin?.kind === "strategy" ? new Strategy(plugin) : null;
  }

  /** The statistics that are computed on the host, among some columns' names. */
  computed(names: readonly string[]): ComputedStatistic[] {
    return names.flatMap((name) => {
      const plugin = this.#plugins.get(name);
      return plugin?.kind === "statistic" && "compute" in plugin ? [new ComputedStatistic(plugin)] : [];
    });
  }

  #names(kind: Plugin["kind"]): string[] {
    return [...this.#plugins.values()].filter((plugin) => plugin.kind === kind).map(({ name }) => name);
  }
}

/** A strategy whose failures are typed errors. */
export class Strategy {
  constructor(private readonly plugin: StrategyPlugin) {}

  get name(): string {
    return this.plugin.name;
  }

  get needs(): readonly string[] {
    return this.plugin.needs;
  }

  /** @throws WinnowError `plugin` when the strategy throws, or does not give one policy a head. */
  decide(layer: LayerView): readonly Policy[] {
    const decided: unknown = callPlugin(this.plugin, `decide(layer ${layer.layer})`, () => this.plugin.decide(layer));
    if (!isPolicies(decided) || decided.length !== layer.heads.length) {
      throw pluginError(this.plugin, "decide", `did not give one policy for each of ${layer.heads.length} heads`);
    }
    return decided;
  }
}

/** A statistic that is a function on the host, whose failures are typed errors. */
export class ComputedStatistic {
  constructor(private readonly plugin: Extract<StatisticPlugin, { compute: unknown }>) {}

  get name(): string {
    return this.plugin.name;
  }

  get needs(): readonly string[] {
    return this.plugin.needs;
  }

  /** @throws WinnowError `plugin` when the function throws, or does not give one number a slot. */
  compute(head: HeadView): Float32Array {
    const values: unknown = callPlugin(this.plugin, "compute", () => this.plugin.compute(head));
    if (!(values instanceof Float32Array) || values.length !== head.count) {
      throw pluginError(this.plugin, "compute", `did not give a Float32Array with one value for each of ${head.count} slots`);
    }
    return values;
  }
}

/** What programs use unless they make a registry of their own. */
export const defaultRegistry = new PolicyRegistry();

function callPlugin<T>(plugin: Plugin, what: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof WinnowError && cause.code === "policy") throw pluginError(plugin, what, cause.message, cause);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw pluginError(plugin, what, `threw "${reason.replaceAll(/\s+/g, " ")}"`, cause);
  }
}

function pluginError(plugin: Plugin, what: string, problem: string, cause?: unknown): WinnowError {
  return new WinnowError("plugin", `the ${plugin.kind} plug-in "${plugin.name}": ${what} ${problem}`, { cause });
}

function isPolicies(value: unknown): value is readonly Policy[] {
  return Array.isArray(value) && value.every((item) => item instanceof Policy);
}

function looksLikePlugin(value: unknown): boolean {
  return typeof value === "object" && value !== null && "kind" in value && "name" in value;
}

const FUNCTIONS = { policy: ["build"], statistic: ["expr", "compute"], strategy: ["decide"] } as const;

function checkPlugin(value: unknown, origin: string): Plugin {
  const fail = (problem: string): never => {
    throw new WinnowError("plugin", `${origin}: ${problem}`);
  };
  if (!looksLikePlugin(value)) fail("not a plug-in; expected what definePolicy, defineStatistic or defineStrategy returns");
  const plugin = value as Plugin;
  if (!Object.hasOwn(FUNCTIONS, plugin.kind)) fail(`the kind "${String(plugin.kind)}"; expected policy, statistic or strategy`);
  if (typeof plugin.name !== "string" || !NAME.test(plugin.name)) {
    fail(`the name "${String(plugin.name)}"; expected a letter, then letters, digits, "_" or "-"`);
  }
  if (!FUNCTIONS[plugin.kind].some((key) => key in plugin)) {
    fail(`the ${plugin.kind} "${plugin.name}" lacks ${FUNCTIONS[plugin.kind].join(" or ")}`);
  }
  if (plugin.kind !== "policy" && !("expr" in plugin) && !Array.isArray(plugin.needs)) {
    fail(`the ${plugin.kind} "${plugin.name}" lacks needs: the columns it reads, such as ["mass"]`);
  }
  return plugin;
}
