import { z } from "@hono/zod-openapi";

export const errorSchema = z
  .strictObject({
    error: z.strictObject({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .openapi("Error");

/** What every route may answer besides. */
export const refusals = Object.fromEntries(
  (
    [
      [400, "The request is at fault, and the message says where"],
      [401, "There is no key, or it is none of the server's"],
      [404, "There is no such thing"],
      [429, "Too much at once; try again after the header Retry-After"],
      [503, "The server is shutting down"],
    ] as const
  ).map(([status, description]) => [status, { description, content: { "application/json": { schema: errorSchema } } }]),
);
