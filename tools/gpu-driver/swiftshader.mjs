import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

/** Where Debian and its kin put chromium's own libraries. */
const CHROMIUM = "/usr/lib/chromium";

/**
 * The software driver and the loader that lie beside chromium.
 * @returns {Record<string, string> | null}
 */
export function swiftshader() {
  const manifest = join(CHROMIUM, "vk_swiftshader_icd.json");
  if (!existsSync(manifest)) return null;
  const libraries = [CHROMIUM, process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(delimiter);
  return { VK_DRIVER_FILES: manifest, LD_LIBRARY_PATH: libraries };
}
