import { amountOf } from "./amount";
import type { Plugin } from "./plugin";
import { isStandardColumn } from "./score";

const POLICY_NAME = /^[A-Za-z]\w*(?:[+-]\w+)*$/;
const STATISTIC_NAME = /^[A-Za-z]\w*$/;

const MAKERS = "definePolicy, defineStatistic or defineStrategy";

/** Whether a module's export means to be a plug-in, so that a fault in it is worth a message. */
export function looksLikePlugin(value: unknown): boolean {
  return isRecord(value) && "kind" in value && "name" in value;
}

export function isPlugin(value: unknown): value is Plugin {
  return faultOf(value) === null;
}

/** What is wrong with a plug-in, found and expected, or null. Whoever wrote it may not have had types. */
export function faultOf(value: unknown): string | null {
  if (!looksLikePlugin(value) || !isRecord(value))
    return `${describe(value)} is not a plug-in; expected what ${MAKERS} returns`;
  const { kind, name } = value;
  const pattern = kind === "statistic" ? STATISTIC_NAME : POLICY_NAME;
  if (kind !== "policy" && kind !== "statistic" && kind !== "strategy") {
    return `the kind ${describe(kind)}; expected policy, statistic or strategy, as ${MAKERS} give it`;
  }
  if (typeof name !== "string" || !pattern.test(name)) {
    return `the ${kind}'s name is ${describe(name)}; expected a letter, then letters, digits or "_"${kind === "statistic" ? "" : ', with "-" or "+" between words'}`;
  }
  const fault = FAULTS[kind](value);
  return fault === null ? null : `the ${kind} "${name}" ${fault}`;
}

type Parts = Readonly<Record<string, unknown>>;

const FAULTS: Readonly<Record<Plugin["kind"], (plugin: Parts) => string | null>> = {
  policy: (plugin) => {
    if ("build" in plugin === "candidates" in plugin)
      return "needs one of build, for an expression, and candidates, for a preset";
    if ("build" in plugin) return functionFault(plugin, "build");
    const { threshold, rows, generated } = plugin;
    if (threshold !== undefined && !(typeof threshold === "number" && threshold > 0 && threshold <= 1)) {
      return `has the threshold ${describe(threshold)}; expected a number above 0 and at most 1`;
    }
    return (
      functionFault(plugin, "candidates") ??
      wordFault("rows", rows, ["prompt", "late", "probe"]) ??
      wordFault("generated", generated, ["sweep", "keep"]) ??
      budgetFault(plugin)
    );
  },
  statistic: (plugin) => {
    if ("expr" in plugin === "compute" in plugin) return "needs one of expr and compute";
    if ("compute" in plugin) return functionFault(plugin, "compute") ?? needsFault(plugin);
    return typeof plugin.expr === "string" || isRecord(plugin.expr)
      ? null
      : `has the expr ${describe(plugin.expr)}; expected an expression or its text`;
  },
  strategy: (plugin) =>
    functionFault(plugin, "decide") ??
    needsFault(plugin) ??
    wordFault("scope", plugin.scope, ["layer", "model"]) ??
    wordFault("rows", plugin.rows, ["prompt", "late", "probe"]) ??
    wordFault("generated", plugin.generated, ["sweep", "keep"]) ??
    budgetFault(plugin),
};

/** What a view has besides columns. */
const VECTORS: ReadonlySet<unknown> = new Set(["keys", "values", "queries"]);

function budgetFault({ budget }: Parts): string | null {
  if (budget === undefined) return null;
  try {
    amountOf(typeof budget === "number" ? budget : NaN);
    return null;
  } catch {
    return isRecord(budget) && (budget.kind === "ratio" || budget.kind === "count")
      ? null
      : `has the budget ${describe(budget)}; expected a share between 0 and 1, or a whole number of slots`;
  }
}

function functionFault(plugin: Parts, key: string): string | null {
  return typeof plugin[key] === "function" ? null : `has ${describe(plugin[key])} for ${key}; expected a function`;
}

function wordFault(key: string, value: unknown, words: readonly string[]): string | null {
  if (value === undefined || words.some((word) => word === value)) return null;
  return `has ${key} ${describe(value)}; expected ${words.join(", ")}`;
}

function needsFault({ needs }: Parts): string | null {
  if (!Array.isArray(needs)) return `has ${describe(needs)} for needs; expected the columns it reads, such as ["mass"]`;
  const unknown: unknown = needs.find(
    (name) => typeof name !== "string" || !(isStandardColumn(name) || VECTORS.has(name)),
  );
  return unknown === undefined
    ? null
    : `needs the column ${describe(unknown)}, which no cache has; expected mass, maxWeight, windowMass, lastMass, hits, keyNorm, valueNorm, keyDiff, keys, values or queries`;
}

/** A value as an error names it, on one line. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined)
    return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Promise) return "a promise";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
