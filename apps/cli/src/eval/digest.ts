import { createHash } from "node:crypto";

/** Tells two contents apart, of files that may have one name. */
export function digestOf(content: unknown): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
}
