/** Compiles `peak.c` as the CPU backend's kernels are, and writes the module to the file that is named. */
import { readFileSync, writeFileSync } from "node:fs";

import { runClang } from "@yowasp/clang";

const FLAGS = [
  "--target=wasm32",
  "-O3",
  "-msimd128",
  "-mrelaxed-simd",
  "-ffp-contract=off",
  "-nostdlib",
  "-Wl,--no-entry",
];

const [, , target] = process.argv;
const source = readFileSync(new URL("peak.c", import.meta.url), "utf8");
const made = await runClang(
  ["clang", ...FLAGS, "peak.c", "-o", "peak.wasm"],
  { "peak.c": source },
  { fetchProgress: () => undefined },
);
writeFileSync(target, made["peak.wasm"]);
