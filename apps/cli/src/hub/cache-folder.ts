import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

import { formatRepo, type RepoName } from "./repo-name";

/** Where pulled models are kept: `WINNOW_CACHE`, else where the system keeps what can be fetched again. */
export function cacheFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const { WINNOW_CACHE: own, XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = env;
  if (own !== undefined && own !== "") return own;
  if (platform === "win32" && local !== undefined && local !== "") return join(local, "winnow");
  // A relative one is to be ignored, says the specification.
  return xdg !== undefined && isAbsolute(xdg) ? join(xdg, "winnow") : join(homedir(), ".cache", "winnow");
}

/** The folder of a repository's files. A revision's slashes would make folders of it. */
export function folderOf(repo: RepoName, cache: string): string {
  const [owner = "", ...rest] = formatRepo(repo).split("/");
  return join(cache, "models", owner, rest.join("%2F"));
}
