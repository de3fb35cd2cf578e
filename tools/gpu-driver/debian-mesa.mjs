// Mesa's llvmpipe from Debian's own archive, unpacked into this project's cache: `apt-get download` and `dpkg -x` with
// lists, cache and sources of their own, so that it needs no rights and the system does not change.

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const CACHE = fileURLToPath(new URL("../../.cache/gpu-driver/", import.meta.url));
const PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"];
/** Releases whose own Mesa is too old for Dawn; their backports have a newer one. */
const NEEDS_BACKPORTS = new Set(["bookworm"]);
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const PUBLIC_MIRROR = "http://deb.debian.org/debian";

let problem = "";

/** Why `debianMesa` gave nothing, to be put behind a sentence; empty where this is no Debian. */
export function whyNoDebianMesa() {
  return problem === "" ? "" : `; unpacking Debian's failed: ${problem}`;
}

/**
 * @returns {Record<string, string> | null} null where this is no Debian, or its archive is out of reach
 */
export function debianMesa() {
  const codename = debianCodename();
  if (codename === null) return null;
  try {
    const architecture = run("dpkg", ["--print-architecture"]).trim();
    const home = join(CACHE, `mesa-${codename}-${architecture}`);
    if (!existsSync(home)) unpack(codename, home);
    const manifest = join(home, "llvmpipe.json");
    const libraries = [libraryDir(home), process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(delimiter);
    return { VK_DRIVER_FILES: manifest, LD_LIBRARY_PATH: libraries };
  } catch (error) {
    problem = error instanceof Error ? (error.message.trim().split("\n").at(-1) ?? "") : String(error);
    return null;
  }
}

function debianCodename() {
  if (process.platform !== "linux" || !existsSync("/etc/os-release")) return null;
  const release = readFileSync("/etc/os-release", "utf8");
  if (!/^ID=debian$/m.test(release)) return null;
  return /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] ?? null;
}

/**
 * @param {string} codename
 * @param {string} home
 */
function unpack(codename, home) {
  process.stderr.write("no WebGPU adapter is installed: unpacking Debian's Mesa into .cache/ once ...\n");
  mkdirSync(CACHE, { recursive: true });
  // Made apart and renamed, so that a run that is cut off, or another one beside it, leaves no half of a driver.
  const work = mkdtempSync(join(CACHE, "unpacking-"));
  try {
    const apt = aptOptions(codename, work);
    run("apt-get", [...apt, "update"]);
    const debs = join(work, "debs");
    mkdirSync(debs);
    run("apt-get", [...apt, "download", ...missingPackages(apt)], debs);
    const tree = join(work, "tree");
    mkdirSync(tree);
    for (const deb of readdirSync(debs)) run("dpkg", ["-x", join(debs, deb), tree]);
    const driver = join(home, libraryDir(tree).slice(tree.length), "libvulkan_lvp.so");
    const icd = { file_format_version: "1.0.0", ICD: { library_path: driver, api_version: "1.4.305" } };
    writeFileSync(join(tree, "llvmpipe.json"), JSON.stringify(icd));
    try {
      renameSync(tree, home);
    } catch (error) {
      if (!existsSync(home)) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * @param {string} codename
 * @param {string} work
 */
function aptOptions(codename, work) {
  const lists = join(work, "lists");
  const archives = join(work, "archives");
  mkdirSync(join(lists, "partial"), { recursive: true });
  mkdirSync(join(archives, "partial"), { recursive: true });
  const suites = NEEDS_BACKPORTS.has(codename) ? [codename, `${codename}-backports`] : [codename];
  const trust = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
  const sources = join(work, "sources.list");
  const mirror = ownMirror(codename);
  writeFileSync(sources, suites.map((suite) => `deb ${trust}${mirror} ${suite} main\n`).join(""));
  const options = {
    "Dir::Etc::SourceList": sources,
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State::Lists": lists,
    "Dir::Cache": work,
    "Dir::Cache::Archives": archives,
    // The cache's folders belong to whoever runs this, and apt's own user could not write there.
    "APT::Sandbox::User": "",
    "APT::Default-Release": suites.at(-1),
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
  };
  return Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/**
 * The mirror that this machine's own sources name.
 * @param {string} codename
 */
function ownMirror(codename) {
  try {
    const format = "$(RELEASE) $(COMPONENT) $(REPO_URI)";
    const targets = run("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]).split("\n");
    return targets.find((line) => line.startsWith(`${codename} main `))?.split(" ")[2] ?? PUBLIC_MIRROR;
  } catch {
    return PUBLIC_MIRROR;
  }
}

/**
 * Those of the driver's packages, and of what they depend on, that the system lacks or has too old.
 * @param {string[]} apt
 * @returns {string[]} as `name=version`
 */
function missingPackages(apt) {
  const only = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map((kind) => `--no-${kind}`);
  const needed = new Set(run("apt-cache", [...apt, "depends", "--recurse", ...only, ...PACKAGES]).match(/^\w.*$/gm));
  // `Inst NAME [OLD] (VERSION ...)` for what an installation would bring.
  const plan = run("apt-get", [...apt, "install", "--simulate", "--no-install-recommends", ...PACKAGES]);
  const brought = [...plan.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+)/gm)];
  const names = brought.filter(([, name = ""]) => needed.has(name)).map(([, name, version]) => `${name}=${version}`);
  // What is installed in the version wanted, and yet gives no adapter, is unpacked again: it costs little.
  return names.length > 0 ? names : PACKAGES;
}

/**
 * @param {string} tree
 * @returns {string} the folder of the driver's libraries
 */
function libraryDir(tree) {
  const libraries = join(tree, "usr", "lib");
  const triple = readdirSync(libraries).find((name) => existsSync(join(libraries, name, "libvulkan_lvp.so")));
  if (triple === undefined) throw new Error(`no libvulkan_lvp.so under ${libraries}`);
  return join(libraries, triple);
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {string} [cwd]
 */
function run(program, args, cwd) {
  const env = { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  return execFileSync(program, args, {
    cwd,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 2 ** 28,
  });
}
