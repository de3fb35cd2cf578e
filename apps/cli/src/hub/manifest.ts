import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

import { digestSchema } from "./repo-file";
import { isFileName } from "./safe-path";
import { isMissing, systemError } from "./system-error";

/** Beside a model's files once all of them are there. */
export const MANIFEST = "winnow.json";

const manifestSchema = z.object({
  version: z.literal(1),
  commit: z.string(),
  pulledAt: z.iso.datetime(),
  /** In the order of a split model's parts. */
  files: z
    .array(z.object({ name: z.string().refine(isFileName), bytes: z.int().nonnegative(), digest: digestSchema }))
    .nonempty(),
});

/** What was pulled. */
export type Manifest = z.infer<typeof manifestSchema>;

/** A model's manifest, or null where there is none that can be relied on. */
export async function readManifest(dir: string): Promise<Manifest | null> {
  const path = join(dir, MANIFEST);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw systemError(path, cause);
  }
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
