import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { restoreSession, saveSession, type ChatState, type Model, type Session } from "@winnow/runtime";

import { sessionOptions, type CacheFlags } from "./cache";
import { expectSavedSettings } from "./saved-settings";

/** A session, and the conversation that was saved with it. */
export interface OpenedSession {
  readonly session: Session;
  readonly state: ChatState | undefined;
}

/**
 * The session that the flags ask for: a new one, or the one in a file where there is one.
 *
 * @throws WinnowError `usage` when a saved session is asked to go on in another way, `file` when it could not be saved.
 */
export async function openSession(model: Model, flags: CacheFlags, file: string | undefined): Promise<OpenedSession> {
  const options = await sessionOptions(flags);
  if (file !== undefined) expectWritable(file);
  if (file === undefined || !existsSync(file)) return { session: model.createSession(options), state: undefined };
  const { session, extra } = await restoreSession(model, file, options);
  try {
    expectSavedSettings(flags, session.settings, file, options.registry);
  } catch (error) {
    session[Symbol.dispose]();
    throw error;
  }
  return { session, state: isChatState(extra) ? extra : undefined };
}

/** @throws WinnowError `file` before anything is computed that could not be saved. */
function expectWritable(file: string): void {
  const folder = dirname(file);
  try {
    // What has an entry of that name is a directory.
    accessSync(`${folder}/.`, constants.W_OK);
  } catch (cause) {
    throw new WinnowError(
      "file",
      `--session ${file} cannot be saved: ${folder} is no directory that can be written to; give another file`,
      { cause },
    );
  }
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
