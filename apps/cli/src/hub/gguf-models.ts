import { WinnowError } from "@winnow/core-tensor";

const PART = /-(\d{5})-of-(\d{5})(?=\.gguf$)/i;

/** A file's path without what says which part of a split model it is: the same for all parts of one. */
export function ggufModel(path: string): string {
  return path.replace(PART, "");
}

/**
 * The GGUF models among a repository's files: each one's path without the numbers of its parts, and the parts in order.
 * What belongs to a model without being one (projectors of images, importance matrices) is left out.
 */
export function ggufModels<F extends { readonly path: string }>(files: Iterable<F>): ReadonlyMap<string, readonly F[]> {
  const models = new Map<string, F[]>();
  for (const file of files) {
    if (!/\.gguf$/i.test(file.path) || /(?:^|\/)(?:mmproj|imatrix)[^/]*$/i.test(file.path)) continue;
    const model = ggufModel(file.path);
    models.set(model, [...(models.get(model) ?? []), file]);
  }
  for (const parts of models.values()) parts.sort((a, b) => (a.path < b.path ? -1 : 1));
  return models;
}

/** @throws WinnowError `file` when parts of a split model are missing. */
export function expectAllParts(model: string, parts: readonly { readonly path: string }[]): void {
  const numbers = parts.map(({ path }) => PART.exec(path));
  const total = Number(numbers[0]?.[2] ?? 1);
  const whole = parts.length === total && numbers.every((found, i) => found === null || Number(found[1]) === i + 1);
  if (!whole) {
    throw new WinnowError(
      "file",
      `${model} is split into ${total} files, of which the repository has ${parts.length}; pull another file of it`,
    );
  }
}

/**
 * The models that a FILE means: the one of that path (or with a part of that path), else those whose names have it as a
 * word, as quantisations are written: `Q4_K_M` is in `SmolLM2-135M-Q4_K_M.gguf` and `q4_k_m/SmolLM2.gguf`, `Q4_K` in neither.
 */
export function modelsMeant(models: Iterable<string>, file: string): string[] {
  const all = [...models];
  const exact = all.find((model) => model === ggufModel(file));
  if (exact !== undefined) return [exact];
  const tag = file.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
  const word = new RegExp(`(?:^|[-._/])${tag}(?:[-./]|$)`, "i");
  return all.filter((model) => word.test(model.replace(/\.gguf$/i, "")));
}
