// Finds a Vulkan driver for tests and tells which environment variables reach it. The system is left as it is.
//
//   node tools/gpu-driver/gpu-env.mjs                  { "adapter": "...", "env": {...} } or { "missing": "..." }
//   node tools/gpu-driver/gpu-env.mjs -- COMMAND ...   the command, run in that environment
//
// WINNOW_GPU_DRIVER names one: `system` (what is installed), `llvmpipe` (Mesa, unpacked into .cache/ on Debian) or
// `swiftshader` (Debian's chromium has it). Without it they are tried in this order. A variable has to be set before
// the process starts: the dynamic linker reads LD_LIBRARY_PATH only then.

import { spawn } from "node:child_process";
import process from "node:process";

import { debianMesa, whyNoDebianMesa } from "./debian-mesa.mjs";
import { probe } from "./probe.mjs";
import { runtimeDir } from "./runtime-dir.mjs";
import { swiftshader } from "./swiftshader.mjs";

/**
 * @typedef {Record<string, string>} Environment
 * @typedef {{ adapter: string, env: Environment } | { missing: string }} Found
 * @typedef {() => Environment | null} Driver null where the driver cannot be had on this system
 */

/** @type {Record<string, Driver>} */
const DRIVERS = {
  system: () => ({}),
  llvmpipe: debianMesa,
  swiftshader,
};

/** @returns {Found} */
function findDriver() {
  const wanted = process.env["WINNOW_GPU_DRIVER"];
  if (wanted !== undefined && DRIVERS[wanted] === undefined) {
    return { missing: `WINNOW_GPU_DRIVER is "${wanted}", expected one of ${Object.keys(DRIVERS).join(", ")}` };
  }
  for (const name of wanted === undefined ? Object.keys(DRIVERS) : [wanted]) {
    const driver = DRIVERS[name]?.();
    if (driver === null || driver === undefined) continue;
    const env = { ...runtimeDir(), ...driver };
    const adapter = probe(env);
    if (adapter !== null) return { adapter, env };
  }
  return { missing: `no WebGPU adapter${wanted === undefined ? "" : ` by ${wanted}`}: ${advice(wanted)}` };
}

/** @param {string | undefined} wanted */
function advice(wanted) {
  if (wanted === "swiftshader") return "install chromium, which has SwiftShader beside it";
  if (process.platform !== "linux") return "update the graphics driver";
  return `install a Vulkan driver and loader (Mesa 24 or later; mesa-vulkan-drivers and libvulkan1 on Debian)${whyNoDebianMesa()}`;
}

const found = findDriver();
const [dashes, program, ...args] = process.argv.slice(2);
if (dashes !== "--" || program === undefined) {
  process.stdout.write(`${JSON.stringify(found)}\n`);
} else if ("missing" in found) {
  process.stderr.write(`${found.missing}\n`);
  process.exitCode = 1;
} else {
  const child = spawn(program, args, { env: { ...process.env, ...found.env }, stdio: "inherit" });
  child.on("error", (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
  child.on("close", (code) => {
    process.exitCode = code ?? 1;
  });
}
