import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";

import { WinnowError } from "@winnow/core-tensor";

import { repositoryRoot } from "../repository";

/**
 * A module of the kernels of `kernels/peak.c`.
 *
 * @param source the file of C that is compiled in its place.
 * @throws WinnowError `backend` where clang cannot be run, or finds something wrong with it.
 */
export async function compilePeak(source?: string): Promise<Uint8Array> {
  const root = repositoryRoot();
  const kernels = join(root, "bench", "kernels");
  const folder = join(root, ".cache", "bench");
  const target = join(folder, "peak.wasm");
  const args = [join(kernels, "compile-peak.mjs"), source ?? join(kernels, "peak.c"), target];
  try {
    await mkdir(folder, { recursive: true });
    await promisify(execFile)(process.execPath, args);
    return await readFile(target);
  } catch (cause) {
    const command = ["node", ...args.map((path) => (path.startsWith(root) ? relative(root, path) : path))].join(" ");
    throw new WinnowError("backend", `"${command}" failed: ${reasonOf(cause)}`, { cause });
  }
}

/** What the program said, or, where it said nothing, why it could not be run. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const said = "stderr" in cause && typeof cause.stderr === "string" ? cause.stderr.trim() : "";
  return said === "" ? (cause.message.split("\n")[0] ?? "") : said;
}
