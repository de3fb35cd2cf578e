import { WinnowError } from "@winnow/core-tensor";
import { expect } from "vitest";

/** The WinnowError that a call ends with; its message has to be one line. */
export async function failureOf(call: () => unknown): Promise<WinnowError> {
  let caught: unknown;
  try {
    caught = await call();
  } catch (cause) {
    if (!(cause instanceof WinnowError)) throw cause;
    expect(cause.message).not.toContain("\n");
    return cause;
  }
  throw new Error(`expected a WinnowError, got ${String(caught)}`);
}
