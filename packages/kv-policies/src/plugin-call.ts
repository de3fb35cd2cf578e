import { WinnowError } from "@winnow/core-tensor";

import type { Plugin } from "./plugin";
import { describe, isRecord } from "./plugin-check";
import { Policy } from "./policy";
import { readWholePolicy, type PolicyNames } from "./policy-parser";

/**
 * Call a plug-in's function.
 *
 * @param what the function with its arguments, as an error names it.
 * @throws WinnowError `plugin` when it throws anything, with that as its cause.
 */
export function callPlugin<T>(plugin: Plugin, what: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof WinnowError) throw pluginError(plugin, `${what}: ${cause.message}`, cause);
    throw pluginError(plugin, `${what} threw ${describe(messageOf(cause))}`, cause);
  }
}

export function pluginError(plugin: Plugin, problem: string, cause?: unknown): WinnowError {
  return new WinnowError("plugin", `the ${plugin.kind} plug-in "${plugin.name}": ${problem}`, { cause });
}

/**
 * The policy that a plug-in gave: one of this library's, its text, or one of another copy of this library, which a
 * plug-in may well bring along.
 *
 * @throws WinnowError `plugin` when it is none of these.
 */
export function adoptPolicy(plugin: Plugin, what: string, value: unknown, names: PolicyNames): Policy {
  if (value instanceof Policy) return value;
  const text = isRecord(value) && "node" in value ? value.text : value;
  if (typeof text !== "string")
    throw pluginError(plugin, `${what} gave ${describe(value)}; expected a policy or its text`);
  try {
    return readWholePolicy(text, names);
  } catch (cause) {
    throw pluginError(plugin, `${what} gave a text that is no policy: ${messageOf(cause)}`, cause);
  }
}

function messageOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return message.replaceAll(/\s+/g, " ");
}
