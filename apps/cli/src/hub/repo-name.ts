/** A model on a hub, or some files of it. */
export interface RepoName {
  readonly owner: string;
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** A file's name, or what its name says of its quantisation; null for what the repository is made for. */
  readonly file: string | null;
}

const DEFAULT_REVISION = "main";

const NAME =
  /^(?<owner>[A-Za-z0-9][\w.-]*)\/(?<name>[A-Za-z0-9][\w.-]*)(?:@(?<revision>[\w.-]+(?:\/[\w.-]+)*))?(?::(?<file>[^:]+))?$/;

/** `owner/name`, `owner/name@revision`, `owner/name:file`; null for what is none of these. */
export function parseRepoName(text: string): RepoName | null {
  const { owner, name, revision = DEFAULT_REVISION, file = null } = NAME.exec(text)?.groups ?? {};
  if (owner === undefined || name === undefined) return null;
  const hasDots = [owner, name, ...revision.split("/")].some((part) => /^\.+$/.test(part));
  return hasDots ? null : { owner, name, revision, file };
}

/** As it is typed, without the file. */
export function formatRepo({ owner, name, revision }: RepoName): string {
  return `${owner}/${name}${revision === DEFAULT_REVISION ? "" : `@${revision}`}`;
}
