import { createHash, type Hash } from "node:crypto";

import { z } from "zod";

/** What a file's bytes must hash to: SHA-256 of the bytes, or git's SHA-1 of a blob, for files that git holds itself. */
export interface Digest {
  readonly kind: "sha256" | "git";
  readonly hex: string;
}

/** A file of a repository. */
export interface RepoFile {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly digest: Digest;
}

export const digestSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("sha256"), hex: z.string().regex(/^[0-9a-f]{64}$/) }),
  z.object({ kind: z.literal("git"), hex: z.string().regex(/^[0-9a-f]{40}$/) }),
]);

/** A hash that has yet to read the file's bytes. */
export function hashOf({ bytes, digest }: Pick<RepoFile, "bytes" | "digest">): Hash {
  return digest.kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
}

export function sameDigest(a: Digest, b: Digest): boolean {
  return a.kind === b.kind && a.hex === b.hex;
}
