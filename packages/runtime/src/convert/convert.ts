import { realpath } from "node:fs/promises";

import { QUANTISED_TYPES, WinnowError, isQuantised } from "@winnow/core-tensor";

import { openCheckpoint } from "../checkpoint/open-checkpoint";
import type { ModelFiles } from "../files/model-files";
import type { WeightDType } from "../files/tensor-source";
import type { ConvertOptions } from "./convert-options";
import { readConvertSource } from "./convert-source";
import { makeWhole } from "./whole-output";
import { writeGguf } from "./write-gguf";
import { writeHuggingFace } from "./write-hugging-face";

/** The types that weights can be converted to: a directory has floats, a GGUF file any of them. */
export const CONVERT_TYPES: readonly WeightDType[] = ["f32", "f16", "bf16", ...QUANTISED_TYPES];

/**
 * Convert a model, tensor by tensor: to a GGUF file where the name of what is made ends in `.gguf`, else to a directory in
 * Hugging Face layout. What was there before stays as it was until the new one is whole.
 *
 * @param from a directory in Hugging Face layout or a GGUF file; or files in that layout, from wherever they are.
 * @throws WinnowError `usage` for a type that the format does not have, `file` where the output is there already or cannot be
 * written, and as `loadModel` does for models that cannot be read.
 * @example
 * ```ts
 * await convertModel("models/demo", "demo.gguf", { type: "q8_0" });
 * ```
 */
export async function convertModel(from: string | ModelFiles, to: string, options: ConvertOptions = {}): Promise<void> {
  const { type = "f16", force = false } = options;
  const toGguf = /\.gguf$/i.test(to);
  if (!toGguf && isQuantised(type)) {
    throw new WinnowError(
      "usage",
      `${to}: a directory in Hugging Face layout has no ${type}; expected f32, f16 or bf16, or a name that ends in .gguf`,
    );
  }
  if (typeof from === "string" && (await placeOf(from)) === (await placeOf(to))) {
    throw new WinnowError("usage", `${to} is what is converted; give the output another name`);
  }
  await using checkpoint = await openCheckpoint(from);
  const source = await readConvertSource(checkpoint);
  await using _ = source.weights;
  await makeWhole(to, force, async (temporary) => {
    if (toGguf) await writeGguf(source, temporary, type, options);
    else if (!isQuantised(type)) await writeHuggingFace(source, temporary, type, options);
  });
}

/** Where a path leads; the path itself where nothing is there. */
async function placeOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
