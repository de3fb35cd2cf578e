import { homedir } from "node:os";
import { join, resolve } from "node:path";

import { expect, test } from "vitest";

import { cacheFolder } from "./cache-folder";

const xdg = resolve("/xdg");

test.each([
  ["linux", { WINNOW_CACHE: resolve("/own"), XDG_CACHE_HOME: xdg }, resolve("/own")],
  ["linux", { WINNOW_CACHE: "own" }, resolve("own")],
  ["linux", { WINNOW_CACHE: "", XDG_CACHE_HOME: xdg }, join(xdg, "winnow")],
  ["linux", { XDG_CACHE_HOME: "relative" }, join(homedir(), ".cache", "winnow")],
  ["darwin", {}, join(homedir(), ".cache", "winnow")],
  ["win32", { LOCALAPPDATA: resolve("/local") }, join(resolve("/local"), "winnow")],
  ["win32", {}, join(homedir(), "AppData", "Local", "winnow")],
] as const)("on %s with %j it is %s", (platform, env, folder) => {
  expect(cacheFolder(env, platform)).toBe(folder);
});
