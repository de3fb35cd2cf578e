import { z } from "@hono/zod-openapi";

import { COMPLETION_WINDOW } from "./batch-settings";
import type { BatchNow } from "./batches";
import { BATCH_ENDPOINTS } from "./run-line";
import { BATCH_STATUSES, inputError, type BatchStatus } from "./stored-batch";
import type { StoredFile } from "./stored-file";

const seconds = z.int().openapi({ description: "seconds since 1970" });

export const fileObject = z
  .object({
    id: z.string(),
    object: z.literal("file"),
    bytes: z.int(),
    created_at: seconds,
    expires_at: seconds,
    filename: z.string(),
    purpose: z.enum(["batch", "batch_output"]),
    status: z.literal("processed"),
  })
  .openapi("File");

export const deletedFile = z
  .object({ id: z.string(), object: z.literal("file"), deleted: z.literal(true) })
  .openapi("DeletedFile");

export const newFile = z
  .object({
    file: z
      .custom<File>((value) => value instanceof File, "expected a file, as multipart/form-data")
      .openapi({ type: "string", format: "binary" }),
    purpose: z.literal("batch", 'only "batch" is taken here'),
  })
  .openapi("NewFile");

export const newBatch = z
  .object({
    input_file_id: z.string(),
    endpoint: z.enum(BATCH_ENDPOINTS),
    completion_window: z.literal(COMPLETION_WINDOW),
    metadata: z
      .record(z.string().max(64), z.string().max(512))
      .refine((record) => Object.keys(record).length <= 16, "expected at most 16 pairs")
      .nullish(),
  })
  .openapi("NewBatch");

export const batchObject = z
  .object({
    id: z.string(),
    object: z.literal("batch"),
    endpoint: z.enum(BATCH_ENDPOINTS),
    errors: z.object({ object: z.literal("list"), data: z.array(inputError) }).nullable(),
    input_file_id: z.string(),
    completion_window: z.literal(COMPLETION_WINDOW),
    status: z.enum(BATCH_STATUSES),
    output_file_id: z.string().nullable(),
    error_file_id: z.string().nullable(),
    created_at: seconds,
    in_progress_at: seconds.nullable(),
    expires_at: seconds,
    finalizing_at: seconds.nullable(),
    completed_at: seconds.nullable(),
    failed_at: seconds.nullable(),
    expired_at: seconds.nullable(),
    cancelling_at: seconds.nullable(),
    cancelled_at: seconds.nullable(),
    request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
    metadata: z.record(z.string(), z.string()).nullable(),
  })
  .openapi("Batch");

export function describeFile(file: StoredFile): z.infer<typeof fileObject> {
  const { id, bytes, filename, purpose } = file;
  const times = { created_at: toSeconds(file.createdAt), expires_at: toSeconds(file.expiresAt) };
  return { id, object: "file", bytes, ...times, filename, purpose, status: "processed" };
}

export function describeBatch(batch: BatchNow): z.infer<typeof batchObject> {
  const at = (status: BatchStatus): number | null => {
    const time = batch.reached[status];
    return time === undefined ? null : toSeconds(time);
  };
  return {
    id: batch.id,
    object: "batch",
    endpoint: batch.endpoint,
    errors: batch.errors === null ? null : { object: "list", data: batch.errors },
    input_file_id: batch.inputFile,
    completion_window: COMPLETION_WINDOW,
    status: batch.status,
    output_file_id: batch.outputFile,
    error_file_id: batch.errorFile,
    created_at: toSeconds(batch.createdAt),
    in_progress_at: at("in_progress"),
    expires_at: toSeconds(batch.expiresAt),
    finalizing_at: at("finalizing"),
    completed_at: at("completed"),
    failed_at: at("failed"),
    expired_at: at("expired"),
    cancelling_at: at("cancelling"),
    cancelled_at: at("cancelled"),
    request_counts: { total: batch.total, ...batch.counts },
    metadata: batch.metadata,
  };
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
