import { setTimeout as sleep } from "node:timers/promises";

import { z } from "@hono/zod-openapi";
import type OpenAI from "openai";

/** Asks for a batch until `until` says so, for at most 15 s. */
export async function follow(
  client: OpenAI,
  id: string,
  until: (batch: OpenAI.Batch) => boolean,
): Promise<OpenAI.Batch> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (until(batch)) return batch;
    if (Date.now() > deadline) throw new Error(`after 15 s ${id} is ${JSON.stringify(batch)}`);
    await sleep(10);
  }
}

export const hasEnded = ({ status }: OpenAI.Batch): boolean =>
  ["completed", "failed", "cancelled", "expired"].includes(status);

const resultLine = z.object({
  id: z.string(),
  custom_id: z.string(),
  response: z.object({ status_code: z.number(), request_id: z.string(), body: z.unknown() }).nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

export type ResultLine = z.infer<typeof resultLine>;

/** The lines of an output or error file. */
export async function resultLines(client: OpenAI, file: string | null | undefined): Promise<ResultLine[]> {
  if (file == null) return [];
  const text = await (await client.files.content(file)).text();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => resultLine.parse(JSON.parse(line)));
}
