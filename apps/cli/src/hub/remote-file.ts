/** A file of a repository. */
export interface RemoteFile {
  /** Within the repository, with `/` between folders. */
  readonly path: string;
  readonly bytes: number;
  /** What its content hashes to: of large files themselves, of others as git does it; null where the hub says neither. */
  readonly hash: { readonly kind: "sha256" | "git"; readonly hex: string } | null;
}
