// Finds a server that tests talk to: the one installed, or Debian's, unpacked into .cache/. The system is left as it is.
//
//   node tools/debian-services/find-service.mjs redis-server|nginx
//
// prints { "program": PATH, "env": {...} } with the variables it has to be started with, or { "missing": REASON }.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { debian, libraryFolder, reasonOf, unpackDebianPackages } from "./debian-packages.mjs";

const CACHE = fileURLToPath(new URL("../../.cache/debian-services/", import.meta.url));

/** Where each one's package has the program. @type {Record<string, string>} */
const SERVICES = { "redis-server": "usr/bin/redis-server", nginx: "usr/sbin/nginx" };

/**
 * @typedef {{ program: string, env: Record<string, string> } | { missing: string }} Found
 *
 * @param {string} name
 * @returns {Found}
 */
function findService(name) {
  const place = SERVICES[name];
  if (place === undefined) return { missing: `"${name}" is none of ${Object.keys(SERVICES).join(", ")}` };
  // Debian keeps servers in folders that are not in everyone's PATH.
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin"];
  const installed = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (installed !== undefined) return { program: installed, env: {} };
  try {
    const system = debian();
    if (system === null) return { missing: `${name} is not installed` };
    const home = join(CACHE, `${name}-${system.codename}-${system.architecture}`);
    if (!existsSync(home)) {
      process.stderr.write(`${name} is not installed: unpacking Debian's into .cache/ once ...\n`);
      unpackDebianPackages({ codename: system.codename, packages: [name], home });
    }
    const folder = libraryFolder(home, (file) => file.includes(".so"));
    const libraries = [folder, process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(delimiter);
    return { program: join(home, place), env: folder === null ? {} : { LD_LIBRARY_PATH: libraries } };
  } catch (error) {
    return { missing: `${name} is not installed, and unpacking Debian's failed: ${reasonOf(error)}` };
  }
}

const [name] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(findService(name ?? ""))}\n`);
