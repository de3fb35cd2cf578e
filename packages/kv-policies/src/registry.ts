import { WinnowError, column, columnsOf, type Expr } from "@winnow/core-tensor";

import { amountOf, formatAmount, type Amount } from "./amount";
import { ComputedStatistic } from "./computed-statistic";
import { FIELD } from "./field";
import type { ExpressionPlugin, Plugin, PresetPlugin } from "./plugin";
import { adoptPolicy, callPlugin, pluginError } from "./plugin-call";
import { describe, faultOf, isPlugin, isRecord, looksLikePlugin } from "./plugin-check";
import type { Policy } from "./policy";
import { ATOM_NAMES, type PolicyNames } from "./policy-parser";
import { PRESETS, type Preset } from "./presets";
import { STATISTICS, isStandardColumn } from "./score";
import { SCORE_FUNCTIONS, checkScore } from "./score-check";
import { readWholeScore } from "./score-parser";
import { Strategy } from "./strategy";

/** Names with a meaning of their own in a policy's text. */
const RESERVED: ReadonlySet<string> = new Set([
  ...ATOM_NAMES,
  ...Object.keys(PRESETS),
  ...Object.keys(STATISTICS),
  ...SCORE_FUNCTIONS,
  ...["head", "layer", "by"],
]);

/**
 * The plug-ins that a program knows, by name.
 *
 * @example
 * ```ts
 * const registry = new PolicyRegistry();
 * registry.use(await import("./my-policy.mjs"), "my-policy.mjs");
 * parsePolicy("special | my-policy(20%)", registry);
 * ```
 */
export class PolicyRegistry implements PolicyNames {
  readonly #plugins = new Map<string, Plugin>(FIELD.map((plugin) => [plugin.name, plugin]));
  readonly #scores = new Map<string, Expr>(
    FIELD.flatMap(({ kind, name }) => (kind === "statistic" ? [[name, column(name)]] : [])),
  );
  /** Plug-ins that are at work: a text of theirs that names them again would never end. */
  readonly #building = new Set<string>();

  /** Names that stand for a policy. */
  get policyNames(): string[] {
    return this.#names((plugin) => plugin.kind === "policy" && "build" in plugin);
  }

  /** Presets, the built-in ones first. */
  get presetNames(): string[] {
    return [...Object.keys(PRESETS), ...this.#names((plugin) => plugin.kind === "policy" && "candidates" in plugin)];
  }

  /** Names of plug-ins that a score may use. */
  get statisticNames(): string[] {
    return this.#names(({ kind }) => kind === "statistic");
  }

  get strategyNames(): string[] {
    return this.#names(({ kind }) => kind === "strategy");
  }

  /** Names that decide for each head, and so are no part of an expression, with what they are. */
  get wholeNames(): ReadonlyMap<string, string> {
    return new Map([
      ...this.presetNames.map((name) => [name, "preset"] as const),
      ...this.strategyNames.map((name) => [name, "strategy"] as const),
    ]);
  }

  /**
   * Make a plug-in known.
   *
   * @param origin names where it comes from in messages, such as a file.
   * @throws WinnowError `plugin` when it is not one, or its name is taken.
   */
  register(plugin: unknown, origin = "a plug-in"): void {
    if (!isPlugin(plugin)) throw new WinnowError("plugin", `${origin}: ${faultOf(plugin) ?? "not a plug-in"}`);
    const { name } = plugin;
    if (RESERVED.has(name) || this.#plugins.has(name)) {
      const taken = [...RESERVED, ...this.#plugins.keys()].join(", ");
      throw new WinnowError("plugin", `${origin}: the name "${name}" is taken; choose another than ${taken}`);
    }
    if (plugin.kind === "statistic") this.#scores.set(name, this.#scoreOf(plugin));
    this.#plugins.set(name, plugin);
  }

  /**
   * Register everything in a module that is a plug-in: its exports, and what is in a list or a default object of them.
   *
   * @throws WinnowError `plugin` when there is none, or one that cannot be registered.
   */
  use(module: Readonly<Record<string, unknown>>, origin: string): void {
    const found = new Set(Object.entries(module).flatMap(([key, value]) => pluginsIn(value, key === "default")));
    if (found.size === 0) {
      const exported = Object.keys(module).join(", ") || "nothing";
      throw new WinnowError(
        "plugin",
        `${origin} exports no plug-in, but ${exported}; export what definePolicy, defineStatistic or defineStrategy returns`,
      );
    }
    for (const plugin of found) this.register(plugin, origin);
  }

  /** A plug-in policy by name, or null. */
  policy(name: string): { build(amounts: readonly Amount[]): Policy } | null {
    const plugin = this.#plugins.get(name);
    if (plugin?.kind !== "policy" || !("build" in plugin)) return null;
    return { build: (amounts) => this.#build(plugin, amounts) };
  }

  /** A preset by name, built-in or a plug-in, or null. */
  preset(name: string): { readonly parameters: number; build(amounts: readonly Amount[]): Preset } | null {
    const builtIn = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
    if (builtIn !== undefined) return builtIn;
    const plugin = this.#plugins.get(name);
    if (plugin?.kind !== "policy" || !("candidates" in plugin)) return null;
    const parameters = plugin.budget === undefined ? Infinity : 1;
    return { parameters, build: (amounts) => this.#buildPreset(plugin, amounts) };
  }

  /** A plug-in statistic's score, or null: an expression, or the column that its function fills. */
  score(name: string): Expr | null {
    return this.#scores.get(name) ?? null;
  }

  strategy(name: string): Strategy | null {
    const plugin = this.#plugins.get(name);
    return plugin?.kind === "strategy" ? new Strategy(plugin, this) : null;
  }

  /** The statistics that are computed on the host, among some columns' names. */
  computed(names: readonly string[]): ComputedStatistic[] {
    return names.flatMap((name) => {
      const plugin = this.#plugins.get(name);
      return plugin?.kind === "statistic" && "compute" in plugin
        ? [new ComputedStatistic(plugin, FIELD.includes(plugin))]
        : [];
    });
  }

  #names(wanted: (plugin: Plugin) => boolean): string[] {
    return [...this.#plugins.values()].filter(wanted).map(({ name }) => name);
  }

  #build(plugin: ExpressionPlugin, amounts: readonly Amount[]): Policy {
    const what = called("build", amounts);
    return this.#guarded(plugin, what, () => {
      const built: unknown = callPlugin(plugin, what, () => plugin.build(...amounts));
      return adoptPolicy(plugin, what, built, this);
    });
  }

  #buildPreset(plugin: PresetPlugin, amounts: readonly Amount[]): Preset {
    const { budget } = plugin;
    const taken = amounts.length === 0 && budget !== undefined ? [amountOf(budget)] : amounts;
    const what = called("candidates", taken);
    return this.#guarded(plugin, what, () => {
      const built: unknown = callPlugin(plugin, what, () => plugin.candidates(...taken));
      if (!Array.isArray(built) || built.length === 0) {
        throw pluginError(plugin, `${what} gave ${describe(built)}; expected an array of at least one policy`);
      }
      const candidates = built.map((value: unknown, i) => adoptPolicy(plugin, `${what}, candidate ${i},`, value, this));
      const rows = plugin.rows ?? "prompt";
      return {
        name: plugin.name,
        text: amounts.length === 0 ? plugin.name : called(plugin.name, amounts),
        source: plugin.source ?? plugin.description ?? "a plug-in",
        threshold: plugin.threshold ?? (candidates.length > 1 ? 0.9 : null),
        rows,
        reading: rows === "probe" ? "cut" : "row",
        generated: plugin.generated ?? "sweep",
        candidates,
        greatest: null,
        withBudget: budget === undefined ? null : (x) => this.#buildPreset(plugin, [amountOf(x)]),
      };
    });
  }

  #guarded<T>(plugin: Plugin, what: string, build: () => T): T {
    if (this.#building.has(plugin.name)) throw pluginError(plugin, `${what} comes back to "${plugin.name}" itself`);
    this.#building.add(plugin.name);
    try {
      return build();
    } finally {
      this.#building.delete(plugin.name);
    }
  }

  #scoreOf(plugin: Extract<Plugin, { kind: "statistic" }>): Expr {
    if ("compute" in plugin) return { op: "column", name: plugin.name };
    const expr = callPlugin(plugin, "expr", () =>
      typeof plugin.expr === "string" ? readWholeScore(plugin.expr, this) : checkScore(plugin.expr),
    );
    const unknown = columnsOf(expr).find((name) => !isStandardColumn(name) && this.computed([name]).length === 0);
    if (unknown !== undefined) {
      const known = [...Object.keys(STATISTICS), ...this.statisticNames].join(", ");
      throw pluginError(plugin, `expr reads the column "${unknown}", which nothing fills; known: ${known}`);
    }
    return expr;
  }
}

/** What programs use unless they make a registry of their own. */
export const defaultRegistry = new PolicyRegistry();

function called(name: string, amounts: readonly Amount[]): string {
  return `${name}(${amounts.map(formatAmount).join(", ")})`;
}

/** A CommonJS module arrives as one default object that holds its exports. */
function pluginsIn(value: unknown, isDefault: boolean): unknown[] {
  if (looksLikePlugin(value)) return [value];
  if (Array.isArray(value) || (isDefault && isRecord(value))) return Object.values(value).filter(looksLikePlugin);
  return [];
}
