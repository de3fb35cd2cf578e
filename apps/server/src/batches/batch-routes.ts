import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { bodiesOf, limitedBody } from "../http/guards";
import { invalid } from "../http/invalid";

import { batchObject, deletedFile, describeBatch, describeFile, fileObject, newBatch, newFile } from "./batch-schemas";
import type { Batches } from "./batches";
import { pageOf, pageSchema } from "./page";

/** What multipart/form-data adds to a file, and more than any other request needs, in bytes. */
const ENVELOPE_BYTES = 64 * 1024;

const jsonContent = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const withId = z.object({ id: z.string() });
const limit = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual);

/**
 * OpenAI's files and batches.
 *
 * @param ownerOf whom a request comes from: what one owner has, others do not find
 */
export function batchRoutes(batches: Batches, ownerOf: (context: Context) => string): OpenAPIHono {
  const app = new OpenAPIHono({ defaultHook: invalid });

  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/files",
      tags: ["Batches"],
      summary: "Upload the input of a batch",
      middleware: [bodiesOf("multipart/form-data"), limitedBody(batches.maxFileBytes + ENVELOPE_BYTES)] as const,
      request: { body: { required: true, content: { "multipart/form-data": { schema: newFile } } } },
      responses: { 200: { description: "The file", content: jsonContent(fileObject) } },
    }),
    async (context) => {
      const { file } = context.req.valid("form");
      return context.json(describeFile(await batches.createFile(ownerOf(context), file.name, file)), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/files",
      tags: ["Batches"],
      summary: "List files",
      request: {
        query: z.object({
          after: z.string().optional(),
          limit: limit(10_000, 10_000),
          order: z.enum(["asc", "desc"]).default("desc"),
          purpose: z.string().optional(),
        }),
      },
      responses: { 200: { description: "Files", content: jsonContent(pageSchema(fileObject)) } },
    }),
    async (context) => {
      const { purpose, order, ...part } = context.req.valid("query");
      const files = await batches.files(ownerOf(context));
      const wanted = files.filter((file) => purpose === undefined || file.purpose === purpose);
      const page = pageOf(order === "asc" ? wanted.reverse() : wanted, part);
      return context.json({ ...page, data: page.data.map(describeFile) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/files/{id}",
      tags: ["Batches"],
      summary: "What is known of a file",
      request: { params: withId },
      responses: { 200: { description: "The file", content: jsonContent(fileObject) } },
    }),
    async (context) =>
      context.json(describeFile(await batches.file(ownerOf(context), context.req.valid("param").id)), 200),
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/files/{id}/content",
      tags: ["Batches"],
      summary: "A file's content",
      request: { params: withId },
      responses: {
        200: { description: "The content", content: { "application/octet-stream": { schema: z.string() } } },
      },
    }),
    async (context) => {
      const { file, content } = await batches.content(ownerOf(context), context.req.valid("param").id);
      const headers = { "content-type": "application/octet-stream", "content-length": String(file.bytes) };
      return context.body(streamOf(content), 200, headers);
    },
  );

  app.openapi(
    createRoute({
      method: "delete",
      path: "/v1/files/{id}",
      tags: ["Batches"],
      summary: "Delete a file",
      request: { params: withId },
      responses: { 200: { description: "It is deleted", content: jsonContent(deletedFile) } },
    }),
    async (context) => {
      const { id } = context.req.valid("param");
      await batches.deleteFile(ownerOf(context), id);
      return context.json({ id, object: "file" as const, deleted: true as const }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/batches",
      tags: ["Batches"],
      summary: "Run the requests of a file",
      middleware: [bodiesOf("application/json"), limitedBody(ENVELOPE_BYTES)] as const,
      request: { body: { required: true, content: jsonContent(newBatch) } },
      responses: { 200: { description: "The batch", content: jsonContent(batchObject) } },
    }),
    async (context) => {
      const { input_file_id: inputFile, endpoint, metadata } = context.req.valid("json");
      const wanted = { inputFile, endpoint, metadata: metadata ?? null };
      return context.json(describeBatch(await batches.createBatch(ownerOf(context), wanted)), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/batches",
      tags: ["Batches"],
      summary: "List batches",
      request: { query: z.object({ after: z.string().optional(), limit: limit(100, 20) }) },
      responses: { 200: { description: "Batches", content: jsonContent(pageSchema(batchObject)) } },
    }),
    async (context) => {
      const page = pageOf(await batches.batches(ownerOf(context)), context.req.valid("query"));
      const data = await batches.withCounts(page.data);
      return context.json({ ...page, data: data.map(describeBatch) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/batches/{id}",
      tags: ["Batches"],
      summary: "How far a batch is",
      request: { params: withId },
      responses: { 200: { description: "The batch", content: jsonContent(batchObject) } },
    }),
    async (context) =>
      context.json(describeBatch(await batches.batch(ownerOf(context), context.req.valid("param").id)), 200),
  );

  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/batches/{id}/cancel",
      tags: ["Batches"],
      summary: "Stop a batch",
      request: { params: withId },
      responses: { 200: { description: "The batch", content: jsonContent(batchObject) } },
    }),
    async (context) =>
      context.json(describeBatch(await batches.cancelBatch(ownerOf(context), context.req.valid("param").id)), 200),
  );

  return app;
}

/** `ReadableStream.from`, which lets go of the source when its reader leaves. */
function streamOf(content: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const source = content[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const next = await source.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await source.return?.();
    },
  });
}
