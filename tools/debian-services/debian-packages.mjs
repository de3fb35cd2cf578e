// Debian's packages without rights: `apt-get download` and `dpkg -x` into a folder, with lists, cache and sources of
// their own, so that the system does not change.

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
import { dirname, join } from "node:path";
import process from "node:process";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const PUBLIC_MIRROR = "http://deb.debian.org/debian";

/**
 * @typedef {object} Debian
 * @property {string} codename such as `bookworm`
 * @property {string} architecture in dpkg's words, such as `amd64`
 */

/** @returns {Debian | null} null where this is no Debian */
export function debian() {
  if (process.platform !== "linux" || !existsSync("/etc/os-release")) return null;
  const release = readFileSync("/etc/os-release", "utf8");
  if (!/^ID=debian$/m.test(release)) return null;
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  if (codename === undefined) return null;
  return { codename, architecture: run("dpkg", ["--print-architecture"]).trim() };
}

/**
 * The one line of an error that says why, for the end of a sentence.
 * @param {unknown} error
 */
export function reasonOf(error) {
  return error instanceof Error ? (error.message.trim().split("\n").at(-1) ?? "") : String(error);
}

/**
 * Unpacks packages, and those that they depend on and the system lacks, into a folder that does not exist yet.
 *
 * @param {object} options
 * @param {string} options.codename
 * @param {readonly string[]} options.packages
 * @param {string} options.home the folder to make
 * @param {boolean} [options.backports] take the release's backports first
 * @param {(tree: string) => void} [options.finish] adds to the unpacked tree before it is moved to `home`
 * @throws where the archive is out of reach or a package is unknown
 */
export function unpackDebianPackages({ codename, packages, home, backports = false, finish }) {
  const cache = dirname(home);
  mkdirSync(cache, { recursive: true });
  // Made apart and renamed, so that a run that is cut off, or another one beside it, leaves no half of a package.
  const work = mkdtempSync(join(cache, "unpacking-"));
  try {
    const apt = aptOptions(codename, work, backports);
    run("apt-get", [...apt, "update"]);
    const debs = join(work, "debs");
    mkdirSync(debs);
    run("apt-get", [...apt, "download", ...missingPackages(apt, packages)], debs);
    const tree = join(work, "tree");
    mkdirSync(tree);
    for (const deb of readdirSync(debs)) run("dpkg", ["-x", join(debs, deb), tree]);
    finish?.(tree);
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
 * The folder of the machine's libraries, such as `usr/lib/x86_64-linux-gnu`, in an unpacked tree.
 * @param {string} tree
 * @param {(name: string) => boolean} holds whether a file of this name is what is looked for
 */
export function libraryFolder(tree, holds) {
  const libraries = join(tree, "usr", "lib");
  const triples = existsSync(libraries) ? readdirSync(libraries, { withFileTypes: true }) : [];
  const triple = triples.find((entry) => entry.isDirectory() && readdirSync(join(libraries, entry.name)).some(holds));
  return triple === undefined ? null : join(libraries, triple.name);
}

/**
 * @param {string} codename
 * @param {string} work
 * @param {boolean} backports
 */
function aptOptions(codename, work, backports) {
  const lists = join(work, "lists");
  const archives = join(work, "archives");
  mkdirSync(join(lists, "partial"), { recursive: true });
  mkdirSync(join(archives, "partial"), { recursive: true });
  const suites = backports ? [codename, `${codename}-backports`] : [codename];
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
 * Those of the packages, and of what they depend on, that the system lacks or has too old.
 * @param {readonly string[]} apt
 * @param {readonly string[]} packages
 * @returns {readonly string[]} as `name=version`
 */
function missingPackages(apt, packages) {
  const only = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map((kind) => `--no-${kind}`);
  const needed = new Set(run("apt-cache", [...apt, "depends", "--recurse", ...only, ...packages]).match(/^\w.*$/gm));
  // `Inst NAME [OLD] (VERSION ...)` for what an installation would bring.
  const plan = run("apt-get", [...apt, "install", "--simulate", "--no-install-recommends", ...packages]);
  const brought = [...plan.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+)/gm)];
  const names = brought.filter(([, name = ""]) => needed.has(name)).map(([, name, version]) => `${name}=${version}`);
  // What is installed in the version wanted, and yet is of no use, is unpacked again: it costs little.
  return names.length > 0 ? names : packages;
}

/**
 * @param {string} program
 * @param {readonly string[]} args
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
