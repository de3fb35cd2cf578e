import { WinnowError } from "@winnow/core-tensor";

import { isInside } from "./safe-path";

/** A model as a hub names it: `owner/repo`, perhaps a revision, perhaps one of its GGUF files. */
export interface ModelName {
  readonly owner: string;
  readonly repo: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** A GGUF file's path, or a quantisation such as `Q4_K_M`; null for the repository's only model. */
  readonly file: string | null;
}

/** What a repository is read at unless told otherwise. */
const MAIN = "main";

const WORD = /^\w(?:[\w.-]{0,94}\w)?$/;
const REVISION = /^\w[\w.+-]*(?:\/\w[\w.+-]*)*$/;

/**
 * Read `OWNER/NAME[@REVISION][:FILE]`.
 *
 * @returns null for a text that names no model, such as most paths.
 * @example parseModelName("bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M")?.file // "Q4_K_M"
 */
export function parseModelName(text: string): ModelName | null {
  const [, owner = "", repo = "", revision = MAIN, file = null] =
    /^([^/@:]+)\/([^/@:]+)(?:@([^:]+))?(?::(.+))?$/s.exec(text) ?? [];
  const named = isRepoWord(owner) && isRepoWord(repo) && !repo.endsWith(".git");
  const fits = REVISION.test(revision) && !revision.includes("..") && revision.length <= 200;
  return named && fits && (file === null || isInside(file)) ? { owner, repo, revision, file } : null;
}

/**
 * Read what must be a model's name.
 *
 * @throws WinnowError `usage`
 */
export function expectModelName(text: string): ModelName {
  const name = parseModelName(text);
  if (name === null) {
    throw new WinnowError(
      "usage",
      `${JSON.stringify(text)} names no model; expected OWNER/NAME[@REVISION][:FILE], such as HuggingFaceTB/SmolLM2-135M-Instruct or bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M`,
    );
  }
  return name;
}

/** The text that {@link parseModelName} reads as this. */
export function formatModelName({ owner, repo, revision, file }: ModelName): string {
  return `${owner}/${repo}${revision === MAIN ? "" : `@${revision}`}${file === null ? "" : `:${file}`}`;
}

/** As the hub's own clients have it: word characters, with single dashes and dots between them. */
function isRepoWord(text: string): boolean {
  return WORD.test(text) && !/--|\.\./.test(text);
}
