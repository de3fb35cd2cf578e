import type { Options } from "tsup";

/** How every library of the workspace is built: ES modules, CommonJS and types, for Node 20 and browsers of its age. */
export function library(entry: Record<string, string>): Options {
  return {
    entry,
    format: ["esm", "cjs"],
    target: "node20",
    // TypeScript 6 warns of options that tsup's type build still sets.
    dts: { compilerOptions: { ignoreDeprecations: "6.0" } },
    // import.meta.url has to work in the CommonJS build, where workers are found by it.
    shims: true,
    sourcemap: true,
    clean: true,
    treeshake: true,
  };
}
