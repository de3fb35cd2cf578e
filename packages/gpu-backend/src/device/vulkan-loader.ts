import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const LOADER = "libvulkan.so.1";
/** What the dynamic linker has found on the system. */
const LINKER_CACHE = "/etc/ld.so.cache";

/**
 * Whether the dynamic linker would find the Vulkan loader: on Linux Dawn has no other way to a GPU, and without it says
 * so on stderr, where nobody has asked for a GPU.
 */
export function hasVulkanLoader(): boolean {
  const paths = (process.env.LD_LIBRARY_PATH ?? "").split(":").filter((path) => path !== "");
  if (paths.some((path) => existsSync(join(path, LOADER)))) return true;
  try {
    return readFileSync(LINKER_CACHE).includes(LOADER);
  } catch {
    // A system that keeps no such list may have the loader all the same.
    return true;
  }
}
