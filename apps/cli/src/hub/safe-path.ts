/** Whether a repository's path leads to a place inside of it, as every path that git can hold does. */
export function isInside(path: string): boolean {
  return (
    path.isWellFormed() &&
    !/\p{Cc}/u.test(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}

const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/** Whether a file of this name can be made in a folder on every system, and is in that folder then. */
export function isFileName(name: string): boolean {
  return (
    isInside(name) &&
    !/[\\/:*?"<>|]/.test(name) &&
    !/[. ]$/.test(name) &&
    !RESERVED.test(name) &&
    Buffer.byteLength(name) <= 200
  );
}
