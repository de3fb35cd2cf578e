import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import library from "./vitest-package.ts";

/**
 * How tests that need a GPU run: like those of every package, in processes that find a Vulkan driver. Where there is
 * none, `WINNOW_NO_GPU` says why, and the suites skip; WINNOW_REQUIRE_GPU=1 makes that a failure.
 */
export default function gpuConfig(): typeof library {
  const script = fileURLToPath(new URL("gpu-driver/gpu-env.mjs", import.meta.url));
  const output = execFileSync(process.execPath, [script], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const found: unknown = JSON.parse(output);
  if (typeof found !== "object" || found === null) throw new Error(`${script} printed ${output}`);
  if ("missing" in found) {
    const reason = String(found.missing);
    if (process.env.WINNOW_REQUIRE_GPU === "1") throw new Error(`WINNOW_REQUIRE_GPU=1, but ${reason}`);
    process.stderr.write(`GPU tests are skipped: ${reason}\n`);
    process.env.WINNOW_NO_GPU = reason;
  } else if ("env" in found && typeof found.env === "object") {
    // Set here and not for each test: the workers' dynamic linker reads them when they start.
    for (const [name, value] of Object.entries(found.env ?? {})) process.env[name] = String(value);
  }
  return library;
}
