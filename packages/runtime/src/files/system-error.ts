import { WinnowError } from "@winnow/core-tensor";

/** What the system's error codes mean to someone who gave us a path. */
const MEANINGS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ENOTDIR: "a part of the path is not a directory",
  EISDIR: "is a directory, expected a file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EMFILE: "too many open files",
  ENOSPC: "no space is left on the device",
  EROFS: "the file system can only be read",
  EEXIST: "is there already",
};

/** An error of the file system as one line that names the path. */
export function systemError(path: string, cause: unknown): WinnowError {
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
  const meaning = (code === undefined ? undefined : MEANINGS[code]) ?? code ?? "cannot be read";
  return new WinnowError("file", `${path}: ${meaning}`, { cause });
}

/** Whether the error says that nothing is there, as opposed to something that cannot be read. */
export function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}
