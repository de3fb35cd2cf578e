import { z } from "@hono/zod-openapi";

import { ApiError } from "../http/api-error";

/** Part of a list, as OpenAI's clients go through it. */
export interface Page<T> {
  readonly object: "list";
  readonly data: T[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

export function pageSchema<T extends z.ZodType>(item: T) {
  const id = z.string().nullable();
  return z.object({
    object: z.literal("list"),
    data: z.array(item),
    first_id: id,
    last_id: id,
    has_more: z.boolean(),
  });
}

/**
 * The part of a list behind the entry with the id `after`.
 *
 * @throws ApiError where there is no such entry
 */
export function pageOf<T extends { readonly id: string }>(
  all: readonly T[],
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Page<T> {
  const place = after === undefined ? -1 : all.findIndex(({ id }) => id === after);
  if (after !== undefined && place < 0) {
    throw new ApiError(400, "invalid_request_error", `after: there is no "${after}" in the list`, { param: "after" });
  }
  const data = all.slice(place + 1, place + 1 + limit);
  return {
    object: "list",
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: place + 1 + limit < all.length,
  };
}
