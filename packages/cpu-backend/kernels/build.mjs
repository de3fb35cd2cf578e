/**
 * Compiles the kernels twice, with fused multiplications and without, and writes them as a module: text that every bundler
 * and every runtime can load.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

import { runClang } from "@yowasp/clang";

const folder = new URL("./", import.meta.url);
const target = new URL("../src/generated/", import.meta.url);

const FLAGS = [
  "--target=wasm32",
  "-std=c17",
  "-O3",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wno-unused-parameter",
  // Sums are added up in the order that is written.
  "-ffp-contract=off",
  "-msimd128",
  "-matomics",
  "-mbulk-memory",
  "-nostdlib",
  "-Wl,--no-entry",
  "-Wl,--import-memory",
  "-Wl,--shared-memory",
  "-Wl,--max-memory=4294967296",
  "-Wl,--export=__stack_pointer",
  "-Wl,--export=__heap_base",
  "-Wl,-z,stack-size=65536",
];

const files = Object.fromEntries(
  readdirSync(folder)
    .filter((name) => /[.][ch]$/.test(name))
    .map((name) => [name, readFileSync(new URL(name, folder), "utf8")]),
);

/** @param {readonly string[]} flags */
async function compile(flags) {
  const messages = [];
  try {
    const made = await runClang(
      ["clang", ...FLAGS, ...flags, ...Object.keys(files).filter((name) => name.endsWith(".c")), "-o", "kernels.wasm"],
      files,
      { stderr: (bytes) => bytes !== null && messages.push(Buffer.from(bytes)), fetchProgress: () => undefined },
    );
    return made["kernels.wasm"];
  } catch (error) {
    process.stderr.write(Buffer.concat(messages));
    throw error;
  }
}

const [fused, plain] = [await compile(["-mrelaxed-simd"]), await compile([])];
const text = (bytes) => JSON.stringify(Buffer.from(bytes).toString("base64"));
mkdirSync(target, { recursive: true });
writeFileSync(
  new URL("kernels.ts", target),
  `/** The kernels' WebAssembly in base64: with relaxed SIMD, whose multiplications are fused with additions, and without. */
export const KERNELS = { fused: ${text(fused)}, plain: ${text(plain)} } as const;
`,
);
process.stdout.write(
  `kernels: ${fused.length} and ${plain.length} bytes (${gzipSync(fused).length} and ${gzipSync(plain).length} compressed)\n`,
);
