import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { lock } from "proper-lockfile";

import { expectGoingOn, pause } from "./patience";
import { systemError } from "./system-error";

const RETRY_MS = 500;

/** A model's files held for one process; given back when disposed of. */
export interface ModelLock extends AsyncDisposable {
  /** Comes with what was given, and when another process took the lock while this one slept. */
  readonly signal: AbortSignal;
}

/**
 * Hold a model's files, once nobody else does. A process that ended without giving its lock back has lost it after 10 s.
 *
 * @param dir the model's folder; it need not be there.
 * @param onWait called once where another process has them.
 * @throws WinnowError `aborted` by the signal, `file` where no lock can be made.
 */
export async function lockModel(dir: string, signal: AbortSignal, onWait: () => void): Promise<ModelLock> {
  await mkdir(dirname(dir), { recursive: true }).catch((cause: unknown) => {
    throw systemError(dirname(dir), cause);
  });
  const lost = new AbortController();
  const take = async (): Promise<(() => Promise<void>) | null> => {
    try {
      return await lock(dir, {
        realpath: false,
        onCompromised: (cause) => {
          lost.abort(new WinnowError("file", `${dir}: another process has taken it over; try again`, { cause }));
        },
      });
    } catch (cause) {
      if (cause instanceof Error && "code" in cause && cause.code === "ELOCKED") return null;
      throw systemError(dir, cause);
    }
  };
  for (let told = false; ; told = true) {
    expectGoingOn(signal);
    const release = await take();
    if (release !== null) {
      return {
        signal: AbortSignal.any([signal, lost.signal]),
        // One that was lost is not ours to give back.
        [Symbol.asyncDispose]: () => release().catch(() => undefined),
      };
    }
    if (!told) onWait();
    await pause(RETRY_MS, signal);
  }
}
