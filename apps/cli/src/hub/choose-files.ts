import { WinnowError } from "@winnow/core-tensor";

import type { RemoteFile } from "./remote-file";

/** What Winnow reads of a directory in Hugging Face layout. */
const OF_DIRECTORY =
  /^(?:config\.json|generation_config\.json|tokenizer\.json|tokenizer_config\.json|chat_template\.jinja|model\.safetensors|model\.safetensors\.index\.json|model-\d+-of-\d+\.safetensors)$/;
const PART = /^(?<stem>.*)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$/i;

/**
 * The files of a repository that make up a model.
 *
 * @param wanted a file's name, or what the name of a GGUF file says of its quantisation, such as `Q4_K_M`; null for all that
 * belongs to a directory in Hugging Face layout, or the only GGUF file.
 * @param what names the repository in messages.
 * @throws WinnowError `usage` where nothing, or more than one model, is meant.
 */
export function chooseFiles(files: readonly RemoteFile[], wanted: string | null, what: string): RemoteFile[] {
  const models = ggufModels(files);
  if (wanted !== null) {
    const exact = files.find(({ path }) => path === wanted);
    if (exact !== undefined) return models.find((parts) => parts.includes(exact)) ?? [exact];
    const tagged = models.filter(([first]) => first !== undefined && hasTag(first.path, wanted));
    const [only] = tagged;
    if (tagged.length === 1 && only !== undefined) return only;
    const found = tagged.length === 0 ? "has no file" : `has ${tagged.length} models`;
    throw new WinnowError(
      "usage",
      `${what} ${found} called "${wanted}"; ${offered(tagged.length === 0 ? models : tagged)}`,
    );
  }
  const directory = files.filter(({ path }) => OF_DIRECTORY.test(path));
  const has = (pattern: RegExp): boolean => directory.some(({ path }) => pattern.test(path));
  if (has(/^config\.json$/) && has(/\.safetensors$/)) return directory;
  const [only] = models;
  if (models.length === 1 && only !== undefined) return only;
  throw new WinnowError(
    "usage",
    models.length === 0
      ? `${what} has neither config.json with safetensors files nor a GGUF file`
      : `${what} has ${models.length} GGUF models; ${offered(models)}`,
  );
}

/** GGUF files, the parts of one that was split together. */
function ggufModels(files: readonly RemoteFile[]): RemoteFile[][] {
  const models = new Map<string, RemoteFile[]>();
  for (const file of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    if (!/\.gguf$/i.test(file.path)) continue;
    const { stem, count } = PART.exec(file.path)?.groups ?? {};
    const key = stem === undefined ? file.path : `${stem} of ${count ?? ""}`;
    models.set(key, [...(models.get(key) ?? []), file]);
  }
  return [...models.values()];
}

/** Whether a file's name ends with a tag, but for its parts' number: `model-Q4_K_M.gguf`, `model.q4_k_m-00001-of-00002.gguf`. */
export function hasTag(path: string, tag: string): boolean {
  const stem = (path.split("/").at(-1) ?? "").replace(/(?:-\d{5}-of-\d{5})?\.gguf$/i, "").toLowerCase();
  const wanted = tag.toLowerCase();
  return stem === wanted || (stem.endsWith(wanted) && /[-_.]$/.test(stem.slice(0, -wanted.length)));
}

function offered(models: readonly (readonly RemoteFile[])[]): string {
  if (models.length === 0) return "it has no GGUF files at all";
  return `name one of ${models.map(([first]) => `:${first?.path ?? ""}`).join(", ")}`;
}
