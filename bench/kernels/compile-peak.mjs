/**
 * Compiles a file of C, such as `peak.c`, as the CPU backend's kernels are, and writes the module to a file:
 * `node compile-peak.mjs SOURCE TARGET`. Where that fails, standard error says in a line why, and what helps.
 */
import { readFileSync, writeFileSync } from "node:fs";

const FLAGS = [
  "--target=wasm32",
  "-O3",
  "-msimd128",
  "-mrelaxed-simd",
  "-ffp-contract=off",
  "-nostdlib",
  "-Wl,--no-entry",
];

const [, , source, target] = process.argv;
const messages = [];

/** @param {string} reason */
function fail(reason) {
  process.stderr.write(`${reason}\n`);
  process.exitCode = 1;
}

try {
  const { runClang } = await import("@yowasp/clang");
  const made = await runClang(
    ["clang", ...FLAGS, "peak.c", "-o", "peak.wasm"],
    { "peak.c": readFileSync(source, "utf8") },
    { stderr: (bytes) => bytes !== null && messages.push(Buffer.from(bytes)), fetchProgress: () => undefined },
  );
  writeFileSync(target, made["peak.wasm"]);
} catch (error) {
  const said = Buffer.concat(messages).toString().trim().split("\n");
  const fault = said.find((line) => /\berror: /.test(line)) ?? said[0];
  if (fault !== "") fail(`clang says "${fault}"; mend ${source}`);
  else if (error.code === "ERR_MODULE_NOT_FOUND") fail("@yowasp/clang is not there; pnpm install brings it");
  else fail(`${error.message.split("\n")[0]}; check the path, and that there is room and leave to write`);
}
