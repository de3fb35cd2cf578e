import type { SamplingParams } from "@winnow/core-tensor";
import { z } from "zod";

import { tokenIdsSchema } from "./config";
import { filesAt } from "./files-at";
import { readOptionalJsonFile } from "./json-file";
import type { ModelFiles } from "./model-files";

/** What a model's makers suggest for sampling; a request may say otherwise. */
export interface GenerationConfig {
  readonly sampling: Omit<SamplingParams, "seed">;
  /** Ids that end a text; empty where the file does not say, and `config.json` decides. */
  readonly eosIds: readonly number[];
}

const number = z.number("expected a number");
const generationSchema = z.object({
  do_sample: z.boolean("expected true or false").nullish(),
  temperature: number.nonnegative("expected at least 0").nullish(),
  top_k: z.int("expected a whole number").nonnegative("expected at least 0").nullish(),
  top_p: number.positive("expected in (0, 1]").max(1, "expected in (0, 1]").nullish(),
  min_p: number.nonnegative("expected in [0, 1)").lt(1, "expected in [0, 1)").nullish(),
  repetition_penalty: number.positive("expected above 0").nullish(),
  eos_token_id: tokenIdsSchema,
});

/**
 * Read a model's `generation_config.json`. Where there is none, or it says nothing, tokens are drawn greedily
 * and without filters.
 *
 * @throws WinnowError `file` when it is malformed or a value is out of range.
 */
export async function readGenerationConfig(place: string | ModelFiles): Promise<GenerationConfig> {
  const found = await readOptionalJsonFile(filesAt(place), "generation_config.json", generationSchema);
  return {
    sampling: {
      temperature: temperatureOf(found?.do_sample ?? null, found?.temperature ?? null),
      topK: found?.top_k ?? 0,
      topP: found?.top_p ?? 1,
      minP: found?.min_p ?? 0,
      repetitionPenalty: found?.repetition_penalty ?? 1,
    },
    eosIds: found?.eos_token_id ?? [],
  };
}

function temperatureOf(sample: boolean | null, temperature: number | null): number {
  if (sample === false) return 0;
  return temperature ?? (sample === true ? 1 : 0);
}
