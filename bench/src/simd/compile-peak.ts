import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { repositoryRoot } from "../repository";

/** A module of the kernels of `kernels/peak.c`. */
export async function compilePeak(): Promise<Uint8Array> {
  const root = repositoryRoot();
  const folder = join(root, ".cache", "bench");
  await mkdir(folder, { recursive: true });
  const target = join(folder, "peak.wasm");
  await promisify(execFile)(process.execPath, [join(root, "bench", "kernels", "compile-peak.mjs"), target]);
  return readFile(target);
}
