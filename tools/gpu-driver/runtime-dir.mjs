import { tmpdir } from "node:os";
import process from "node:process";

/**
 * Mesa complains on stderr of a process without a runtime folder, which containers rarely have.
 * @returns {Record<string, string>}
 */
export function runtimeDir() {
  return process.env["XDG_RUNTIME_DIR"] ? {} : { XDG_RUNTIME_DIR: tmpdir() };
}
