// Mesa's llvmpipe from Debian's own archive, unpacked into this project's cache.

import { existsSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { debian, libraryFolder, reasonOf, unpackDebianPackages } from "../debian-services/debian-packages.mjs";

const CACHE = fileURLToPath(new URL("../../.cache/gpu-driver/", import.meta.url));
const PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"];
/** Releases whose own Mesa is too old for Dawn; their backports have a newer one. */
const NEEDS_BACKPORTS = new Set(["bookworm"]);

let problem = "";

/** Why `debianMesa` gave nothing, to be put behind a sentence; empty where this is no Debian. */
export function whyNoDebianMesa() {
  return problem === "" ? "" : `; unpacking Debian's failed: ${problem}`;
}

/**
 * @returns {Record<string, string> | null} null where this is no Debian, or its archive is out of reach
 */
export function debianMesa() {
  try {
    const system = debian();
    if (system === null) return null;
    const home = join(CACHE, `mesa-${system.codename}-${system.architecture}`);
    if (!existsSync(home)) unpack(system.codename, home);
    const manifest = join(home, "llvmpipe.json");
    const libraries = [driverFolder(home), process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(delimiter);
    return { VK_DRIVER_FILES: manifest, LD_LIBRARY_PATH: libraries };
  } catch (error) {
    problem = reasonOf(error);
    return null;
  }
}

/**
 * @param {string} codename
 * @param {string} home
 */
function unpack(codename, home) {
  process.stderr.write("no WebGPU adapter is installed: unpacking Debian's Mesa into .cache/ once ...\n");
  unpackDebianPackages({
    codename,
    packages: PACKAGES,
    home,
    backports: NEEDS_BACKPORTS.has(codename),
    finish(tree) {
      const driver = join(home, driverFolder(tree).slice(tree.length), "libvulkan_lvp.so");
      const icd = { file_format_version: "1.0.0", ICD: { library_path: driver, api_version: "1.4.305" } };
      writeFileSync(join(tree, "llvmpipe.json"), JSON.stringify(icd));
    },
  });
}

/**
 * @param {string} tree
 * @returns {string} the folder of the driver's libraries
 */
function driverFolder(tree) {
  const folder = libraryFolder(tree, (name) => name === "libvulkan_lvp.so");
  if (folder === null) throw new Error(`no libvulkan_lvp.so under ${join(tree, "usr", "lib")}`);
  return folder;
}
