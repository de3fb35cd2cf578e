import { z } from "@hono/zod-openapi";

/** What is kept of a file besides its content. */
export const storedFile = z.object({
  id: z.string(),
  owner: z.string(),
  filename: z.string(),
  purpose: z.enum(["batch", "batch_output"]),
  bytes: z.number(),
  /** In ms since 1970. */
  createdAt: z.number(),
  /** In ms since 1970. */
  expiresAt: z.number(),
});

export type StoredFile = z.infer<typeof storedFile>;
