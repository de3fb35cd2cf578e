import { z } from "@hono/zod-openapi";

import { BATCH_ENDPOINTS } from "./run-line";

export const BATCH_STATUSES = [
  "validating",
  "failed",
  "in_progress",
  "finalizing",
  "completed",
  "expired",
  "cancelling",
  "cancelled",
] as const;

export type BatchStatus = (typeof BATCH_STATUSES)[number];

/** A fault of the input file. */
export const inputError = z.object({
  code: z.string(),
  message: z.string(),
  /** Counted from 1; null where it is the whole file's. */
  line: z.number().nullable(),
  /** The field of the line that is at fault. */
  param: z.string().nullable(),
});

export type InputError = z.infer<typeof inputError>;

export const counts = z.object({ completed: z.number(), failed: z.number() });

/** How many lines have been answered well, and how many have failed for good. */
export type Counts = z.infer<typeof counts>;

/** What is kept of a batch; times are in ms since 1970. */
export const storedBatch = z.object({
  id: z.string(),
  owner: z.string(),
  endpoint: z.enum(BATCH_ENDPOINTS),
  inputFile: z.string(),
  metadata: z.record(z.string(), z.string()).nullable(),
  status: z.enum(BATCH_STATUSES),
  createdAt: z.number(),
  expiresAt: z.number(),
  /** Lines of the input; 0 until it has been validated. */
  total: z.number(),
  /** Written when the batch ends; until then they are counted apart. */
  counts: counts.nullable(),
  errors: z.array(inputError).nullable(),
  outputFile: z.string().nullable(),
  errorFile: z.string().nullable(),
  /** When each status was reached. */
  reached: z.partialRecord(z.enum(BATCH_STATUSES), z.number()),
});

export type StoredBatch = z.infer<typeof storedBatch>;

/** The same batch in another status, with the time noted. */
export function withStatus(batch: StoredBatch, status: BatchStatus, change: Partial<StoredBatch> = {}): StoredBatch {
  return { ...batch, ...change, status, reached: { ...batch.reached, [status]: Date.now() } };
}

/** Whether nothing will change about the batch any more. */
export function hasEnded({ status }: StoredBatch): boolean {
  return status === "failed" || status === "completed" || status === "expired" || status === "cancelled";
}
