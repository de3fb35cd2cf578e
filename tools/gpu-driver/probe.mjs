import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";

/** Longer than any driver takes to load. */
const PROBE_TIMEOUT_MS = 60_000;

const PROGRAM = `
  const { create } = await import(process.argv[1]);
  const adapter = await create([]).requestAdapter();
  if (adapter !== null) {
    const { vendor, architecture, description } = adapter.info;
    process.stdout.write([vendor, architecture, description].filter(Boolean).join(" "));
  }`;

/**
 * Ask Dawn itself, in a process of its own, whether there is an adapter in an environment: a driver that is installed
 * may be too old for it.
 * @param {Record<string, string>} env
 * @returns {string | null} what the adapter calls itself
 */
export function probe(env) {
  const fromBackend = createRequire(new URL("../../packages/gpu-backend/package.json", import.meta.url));
  const dawn = pathToFileURL(fromBackend.resolve("@webgpu/dawn")).href;
  try {
    const name = execFileSync(process.execPath, ["--input-type=module", "--eval", PROGRAM, dawn], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "ignore"],
      encoding: "utf8",
      timeout: PROBE_TIMEOUT_MS,
    });
    return name === "" ? null : name;
  } catch {
    return null;
  }
}
