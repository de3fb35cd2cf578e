import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import { expectAllParts, ggufModels, modelsMeant } from "./gguf-models";
import { formatModelName, type ModelName } from "./model-name";
import type { RepoFile } from "./repo-file";
import { isFileName } from "./safe-path";

/** A model of a repository, and the files that it is loaded from. */
export interface ChosenModel {
  /** With the path of the GGUF model, or no file. */
  readonly name: ModelName;
  /** In the order of a split model's parts. */
  readonly files: readonly RepoFile[];
}

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";
/** What the runtime reads beside the weights, where it is there. */
const BESIDE = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * The files that a name means: those of a GGUF model, or else of a folder in Hugging Face layout.
 *
 * @param listing all files of the repository.
 * @param readText a file's text, for the index of sharded weights.
 * @throws WinnowError `file` when there is no such model, or several.
 */
export async function chooseFiles(
  name: ModelName,
  listing: readonly RepoFile[],
  readText: (file: RepoFile) => Promise<string>,
): Promise<ChosenModel> {
  const byPath = new Map(listing.map((file) => [file.path, file]));
  const hasFolder = byPath.has(CONFIG) && (byPath.has(WEIGHTS) || byPath.has(INDEX));
  const chosen =
    name.file === null && hasFolder
      ? { name, files: await folderFiles(name, byPath, readText) }
      : ggufFiles(name, listing);
  expectFileNames(chosen);
  return chosen;
}

async function folderFiles(
  name: ModelName,
  byPath: ReadonlyMap<string, RepoFile>,
  readText: (file: RepoFile) => Promise<string>,
): Promise<RepoFile[]> {
  const beside = [CONFIG, ...BESIDE].flatMap((path) => byPath.get(path) ?? []);
  const whole = byPath.get(WEIGHTS);
  if (whole !== undefined) return [...beside, whole];
  const index = byPath.get(INDEX);
  if (index === undefined) return beside;
  const shards = shardsOf(name, await readText(index)).map((shard) => {
    const file = byPath.get(shard);
    if (file !== undefined) return file;
    throw wrongIndex(name, `names ${JSON.stringify(shard)}, which the repository does not have`);
  });
  return [...beside, index, ...shards];
}

function shardsOf(name: ModelName, text: string): string[] {
  try {
    return [...new Set(Object.values(indexSchema.parse(JSON.parse(text)).weight_map))].sort();
  } catch {
    throw wrongIndex(name, "does not map tensors to files");
  }
}

function wrongIndex(name: ModelName, does: string): WinnowError {
  return new WinnowError("file", `${formatModelName(name)}: ${INDEX} ${does}; the repository is damaged`);
}

function ggufFiles(name: ModelName, listing: readonly RepoFile[]): ChosenModel {
  const models = ggufModels(listing);
  if (models.size === 0) throw nothingToPull(name, listing);
  const meant = name.file === null ? [...models.keys()] : modelsMeant(models.keys(), name.file);
  const [model, ...others] = meant;
  const bare = { ...name, file: null };
  if (model === undefined || others.length > 0) {
    const found = model === undefined ? [...models.keys()] : meant;
    throw new WinnowError(
      "file",
      `${formatModelName(name)}: ${model === undefined ? "there is no such GGUF model" : `means ${meant.length} GGUF models`}; name one of ${found.join(", ")}, as in winnow pull ${formatModelName({ ...bare, file: found[0] ?? null })}`,
    );
  }
  const files = models.get(model) ?? [];
  expectAllParts(model, files);
  return { name: { ...name, file: model }, files };
}

function nothingToPull(name: ModelName, listing: readonly RepoFile[]): WinnowError {
  const weights = listing
    .map(({ path }) => path)
    .filter((path) => /\.(?:safetensors|bin|pth?|onnx|npz|h5)$/.test(path));
  const found =
    weights.length === 0 ? "no weights" : `${weights.slice(0, 5).join(", ")}${weights.length > 5 ? ", …" : ""}`;
  const expected = name.file === null ? `${CONFIG} with ${WEIGHTS} (or ${INDEX}), or GGUF files` : "GGUF files";
  return new WinnowError("file", `${formatModelName(name)}: the repository has ${found}; expected ${expected}`);
}

/** Files are kept side by side under the last part of their paths. @throws WinnowError `file` */
function expectFileNames({ name, files }: ChosenModel): void {
  const taken = new Set<string>();
  for (const { path } of files) {
    const file = fileName(path);
    const key = file.toLowerCase();
    if (!isFileName(file) || taken.has(key)) {
      throw new WinnowError(
        "file",
        `${formatModelName(name)}: ${JSON.stringify(path)} ${taken.has(key) ? "is there twice" : "is no name that a file can have everywhere"}; the repository cannot be pulled`,
      );
    }
    taken.add(key);
  }
}

/** The name that a repository's file has in the cache. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
