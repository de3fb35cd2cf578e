import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/**
 * The folder that pulled models are kept in: `WINNOW_CACHE`, else `winnow` in `XDG_CACHE_HOME`, else in the system's own
 * place for what can be fetched again: `~/.cache`, on Windows `%LOCALAPPDATA%`.
 */
export function cacheFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  const { WINNOW_CACHE: own = "", XDG_CACHE_HOME: shared = "", LOCALAPPDATA: local = "" } = env;
  if (own !== "") return resolve(own);
  // The specification has relative paths ignored.
  if (isAbsolute(shared)) return join(shared, "winnow");
  if (platform === "win32") return join(local === "" ? join(homedir(), "AppData", "Local") : local, "winnow");
  return join(homedir(), ".cache", "winnow");
}
