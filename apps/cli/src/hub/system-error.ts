import { WinnowError } from "@winnow/core-tensor";

const MEANINGS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free space, then try again, which goes on where this stopped",
  EDQUOT: "the disk quota is used up; free space, then try again, which goes on where this stopped",
  EACCES: "permission denied; set WINNOW_CACHE to a folder that can be written to",
  EPERM: "permission denied; set WINNOW_CACHE to a folder that can be written to",
  EROFS: "the disk cannot be written to; set WINNOW_CACHE to a folder that can",
  ENOTDIR: "a part of the path is not a folder; set WINNOW_CACHE to another one",
  ENAMETOOLONG: "the name is too long for this disk; set WINNOW_CACHE to a shorter path",
};

/** What the system said of a file of the cache, as one line that names it. */
export function systemError(path: string, cause: unknown): WinnowError {
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : null;
  return new WinnowError("file", `${path}: ${MEANINGS[code ?? ""] ?? code ?? String(cause)}`, { cause });
}

/** Whether the system says that nothing is there. */
export function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}
