import { stat } from "node:fs/promises";

import { cachedPlace } from "./cached-models";
import { parseRepoName } from "./repo-name";

/**
 * Where a model is that a command line names: a path that exists is one; else it may be a pulled model.
 *
 * @throws WinnowError `usage` where it looks like a model's name and has not been pulled.
 */
export async function modelPlace(text: string): Promise<string> {
  if ((await stat(text).catch(() => null)) !== null) return text;
  const repo = /^\.{0,2}\/|\.gguf$/i.test(text) ? null : parseRepoName(text);
  // A file of a repository may end in .gguf too.
  const named = repo ?? (text.includes(":") ? parseRepoName(text) : null);
  return named === null ? text : cachedPlace(named);
}
