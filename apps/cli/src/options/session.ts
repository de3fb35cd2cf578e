import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { resolvePolicy, type PolicyRegistry } from "@winnow/kv-policies";
import { restoreSession, saveSession, type ChatState, type Model, type Session } from "@winnow/runtime";

import { sessionOptions, type CacheFlags } from "./cache";

/** A session, and the conversation that was saved with it. */
export interface OpenedSession {
  readonly session: Session;
  readonly state: ChatState | undefined;
}

/**
 * The session that the flags ask for: a new one, or the one in a file where there is one.
 *
 * @throws WinnowError `usage` when a saved session is given another policy, `file` when it could not be saved.
 */
export async function openSession(model: Model, flags: CacheFlags, file: string | undefined): Promise<OpenedSession> {
  const options = await sessionOptions(flags);
  if (file !== undefined) expectWritable(file);
  if (file === undefined || !existsSync(file)) return { session: model.createSession(options), state: undefined };
  const { session, extra } = await restoreSession(model, file, { registry: options.registry });
  const asked = flags.policy === undefined ? undefined : canonical(flags.policy, options.registry);
  if (flags.plan !== undefined || (asked !== undefined && asked !== session.settings.policy.text)) {
    const own = session.settings.policy.text;
    session[Symbol.dispose]();
    throw new WinnowError(
      "usage",
      `--session ${file} was begun with the policy "${own}" and goes on with it; leave out --policy and --plan, or give another file`,
    );
  }
  return { session, state: isChatState(extra) ? extra : undefined };
}

/** @throws WinnowError `file` before anything is computed that could not be saved. */
function expectWritable(file: string): void {
  const folder = dirname(file);
  try {
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    throw new WinnowError(
      "file",
      `--session ${file} cannot be saved: ${folder} is no directory that can be written to; give another file`,
      { cause },
    );
  }
}

/** A policy's text as sessions have it. */
function canonical(text: string, registry: PolicyRegistry | undefined): string {
  const resolved = resolvePolicy(text, registry);
  return resolved.kind === "strategy" ? resolved.strategy.name : resolved.preset.text;
}

/** Save the session where the flags ask for it. */
export async function keepSession(
  model: Model,
  session: Session,
  state: ChatState | null,
  file: string | undefined,
): Promise<void> {
  if (file !== undefined) await saveSession(session, model, file, state);
}

function isChatState(value: unknown): value is ChatState {
  return (
    typeof value === "object" &&
    value !== null &&
    "messages" in value &&
    "closing" in value &&
    Array.isArray(value.messages)
  );
}
