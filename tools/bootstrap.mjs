// What `npm run demo`, `npm test` and tools/pnpm start with. It needs Node and npm and nothing that they install.
//
//   node tools/bootstrap.mjs install         pnpm and every package of the lock file
//   node tools/bootstrap.mjs build           the same, then the build
//   node tools/bootstrap.mjs demo [args]     the same, then the demo
//   node tools/bootstrap.mjs bench [args]    the same, then the benchmark
//   node tools/bootstrap.mjs test [filter]   the same, then the tests
//   node tools/bootstrap.mjs pnpm [args]     pnpm alone, in the caller's folder

import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = [20, 19];

const root = fileURLToPath(new URL("..", import.meta.url));
const bootstrapDir = join(root, ".bootstrap");
const pnpmDir = join(bootstrapDir, "node_modules", "pnpm");
const pnpmProgram = join(pnpmDir, "bin", "pnpm.cjs");
const stampFile = join(root, "node_modules", ".winnow-install");

const environment = {
  ...process.env,
  // turbo calls `pnpm`.
  PATH: [join(bootstrapDir, "node_modules", ".bin"), process.env["PATH"]].join(delimiter),
  DO_NOT_TRACK: "1",
  TURBO_TELEMETRY_DISABLED: "1",
  NO_UPDATE_NOTIFIER: "1",
  npm_config_update_notifier: "false",
};
// npm hands its own flags down as variables, and pnpm would leave packages out without a word when it is offline.
delete environment["npm_config_offline"];
delete environment["npm_config_prefer_offline"];

class StepFailed extends Error {
  /** @param {number} code */
  constructor(code) {
    super();
    this.code = code;
  }
}

function expectNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  process.stderr.write(
    `Winnow needs Node ${OLDEST_NODE.join(".")} or later; this is Node ${process.versions.node}. See https://nodejs.org\n`,
  );
  process.exit(1);
}

/**
 * Run a program whose output is only of interest when it fails.
 * @param {string} what
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<void>}
 */
function quietly(what, program, args) {
  const started = Date.now();
  const terminal = process.stderr.isTTY;
  if (terminal) process.stderr.write(`${what} …`);
  const child = spawn(program, args, { cwd: root, env: environment, stdio: ["ignore", "pipe", "pipe"] });
  /** @type {Buffer[]} */
  const output = [];
  child.stdout.on("data", (chunk) => output.push(chunk));
  child.stderr.on("data", (chunk) => output.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (terminal) process.stderr.write("\r");
      if (code === 0) {
        process.stderr.write(`${what}: ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
        resolve();
        return;
      }
      process.stderr.write(`${what}: failed\n${Buffer.concat(output).toString()}\n`);
      reject(new StepFailed(exitCode(code, signal)));
    });
  });
}

/**
 * Run a program in the foreground, and give its exit code.
 * @param {string} program
 * @param {string[]} args
 * @param {string} cwd
 * @returns {Promise<number>}
 */
function inForeground(program, args, cwd) {
  const child = spawn(program, args, { cwd, env: environment, stdio: "inherit" });
  // Ctrl-C reaches the child as well, and how to end is its decision.
  const wait = () => undefined;
  process.on("SIGINT", wait);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      process.off("SIGINT", wait);
      resolve(exitCode(code, signal));
    });
  });
}

/**
 * @param {number | null} code
 * @param {NodeJS.Signals | null} signal
 */
function exitCode(code, signal) {
  if (code !== null) return code;
  return signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 1;
}

/** @param {string} file */
function readJson(file) {
  return JSON.parse(readFileSync(file, "utf8"));
}

function pinnedPnpm() {
  return readJson(join(root, "package.json")).packageManager.replace(/^pnpm@/, "");
}

async function installPnpm() {
  const version = pinnedPnpm();
  if (existsSync(pnpmProgram) && readJson(join(pnpmDir, "package.json")).version === version) return;
  mkdirSync(bootstrapDir, { recursive: true });
  // Without a package.json here npm takes the workspace's own for the project and walks through it.
  writeFileSync(join(bootstrapDir, "package.json"), '{ "private": true }\n');
  const flags = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"];
  const args = ["install", "--prefix", bootstrapDir, ...flags, `pnpm@${version}`];
  const npm = process.env["npm_execpath"] || "";
  // Started by npm itself, this finds the very npm that runs, wherever it is installed.
  if (basename(npm) === "npm-cli.js") await quietly(`pnpm ${version}`, process.execPath, [npm, ...args]);
  else await quietly(`pnpm ${version}`, "npm", args);
}

/** The folders of the workspace's packages. */
function packageDirs() {
  const groups = ["packages", "apps", "examples"].flatMap((group) => {
    const dir = join(root, group);
    return existsSync(dir) ? readdirSync(dir).map((name) => join(dir, name)) : [];
  });
  return [root, join(root, "bench"), ...groups].filter((dir) => existsSync(join(dir, "package.json")));
}

/** Changes whenever an install would have something to do. */
function installStamp() {
  const hash = createHash("sha256").update(process.version).update(process.platform).update(process.arch);
  const manifests = packageDirs().map((dir) => join(dir, "package.json"));
  for (const file of [join(root, "pnpm-lock.yaml"), join(root, "pnpm-workspace.yaml"), ...manifests]) {
    hash.update(file.slice(root.length)).update(readFileSync(file));
  }
  return hash.digest("hex");
}

async function installPackages() {
  const stamp = installStamp();
  const linked = packageDirs().every((dir) => existsSync(join(dir, "node_modules")) || !hasDependencies(dir));
  if (linked && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  rmSync(stampFile, { force: true });
  // A node_modules of another layout is replaced without a question: there may be nobody to answer.
  const flags = ["--frozen-lockfile", "--config.confirmModulesPurge=false"];
  await quietly("packages", process.execPath, [pnpmProgram, "install", ...flags]);
  writeFileSync(stampFile, stamp);
}

/** @param {string} dir */
function hasDependencies(dir) {
  const { dependencies = {}, devDependencies = {} } = readJson(join(dir, "package.json"));
  return Object.keys(dependencies).length + Object.keys(devDependencies).length > 0;
}

async function build() {
  await quietly("build", process.execPath, [pnpmProgram, "run", "build", "--output-logs=errors-only"]);
}

/**
 * Every package's tests, or those whose file names match a filter.
 * @param {string[]} filter
 */
async function test(filter) {
  // A report of an earlier run must not be counted with this one's.
  const reports = join(root, ".reports");
  const old = existsSync(reports) ? readdirSync(reports).filter((name) => name.endsWith(".json")) : [];
  for (const name of old) rmSync(join(reports, name), { force: true });
  // `--only`: the build is done, and its log would be told again; `--continue`: one failure must not hide another.
  const flags = ["--only", "--continue", "--concurrency=2", "--log-order=grouped", "--log-prefix=none"];
  // A filter leaves most packages without a test, which is no failure.
  const forVitest = filter.length > 0 ? ["--", "--passWithNoTests", ...filter] : [];
  return inForeground(process.execPath, [pnpmProgram, "exec", "turbo", "run", "test", ...flags, ...forVitest], root);
}

/**
 * @param {string | undefined} command
 * @param {string[]} args
 * @returns {Promise<number>}
 */
async function main(command, args) {
  await installPnpm();
  if (command === "pnpm") return inForeground(process.execPath, [pnpmProgram, ...args], process.cwd());
  await installPackages();
  if (command === "install") return 0;
  await build();
  if (command === "build") return 0;
  if (command === "demo") {
    return inForeground(process.execPath, [join(root, "examples", "demo", "dist", "demo.js"), ...args], root);
  }
  if (command === "bench") {
    return inForeground(process.execPath, [join(root, "bench", "dist", "bench.js"), ...args], root);
  }
  if (command === "test") return test(args);
  process.stderr.write(
    "usage: node tools/bootstrap.mjs install | build | demo [args] | bench [args] | test [filter] | pnpm [args]\n",
  );
  return 2;
}

expectNode();
const [command, ...args] = process.argv.slice(2);
main(command, args).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    if (!(error instanceof StepFailed)) process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = error instanceof StepFailed ? error.code : 1;
  },
);
