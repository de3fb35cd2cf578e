import { OpenAPIHono, createRoute, z } from "@hono/zod-openapi";
import { encodeChat } from "@winnow/runtime";

import { ApiError } from "../http/api-error";
import { invalid } from "../http/invalid";
import type { Deployment } from "../serve/deployment";
import { refusals } from "./error-schema";

const tokenizeSchema = z
  .strictObject({
    model: z.string().min(1).optional(),
    content: z.string().openapi({ example: "Once upon a time" }),
    add_special: z.boolean().optional().openapi({
      description: "Whether to add what the tokenizer puts around a text; no by default",
    }),
  })
  .or(
    z.strictObject({
      model: z.string().min(1).optional(),
      messages: z
        .array(z.strictObject({ role: z.enum(["system", "user", "assistant"]), content: z.string() }))
        .min(1)
        .openapi({ description: "A conversation, through the model's chat template" }),
    }),
  )
  .openapi("TokenizeRequest");

const tokenize = createRoute({
  method: "post",
  path: "/tokenize",
  summary: "Token ids of a text, or of a conversation",
  request: { body: { required: true, content: { "application/json": { schema: tokenizeSchema } } } },
  responses: {
    200: {
      description: "The ids, and how many there are",
      content: { "application/json": { schema: z.strictObject({ tokens: z.array(z.int()), count: z.int() }) } },
    },
    ...refusals,
  },
});

const detokenize = createRoute({
  method: "post",
  path: "/detokenize",
  summary: "The text of token ids",
  request: {
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z
            .strictObject({
              model: z.string().min(1).optional(),
              tokens: z.array(z.int().min(0)).openapi({ description: "At most as many as the context holds" }),
              skip_special: z.boolean().optional().openapi({ description: "Leave special tokens out; no by default" }),
            })
            .openapi("DetokenizeRequest"),
        },
      },
    },
  },
  responses: {
    200: {
      description: "The text",
      content: { "application/json": { schema: z.strictObject({ content: z.string() }) } },
    },
    ...refusals,
  },
});

/** `POST /tokenize`, `POST /detokenize` */
export function tokenizing(deployment: Deployment): OpenAPIHono {
  const { model, limits } = deployment;
  return new OpenAPIHono({ defaultHook: invalid })
    .openapi(tokenize, (c) => {
      const request = c.req.valid("json");
      if (request.model !== undefined) deployment.expectModel(request.model);
      let tokens: number[];
      if ("content" in request) {
        limits.expectText([request.content], "content");
        tokens = model.tokenizer.encode(request.content, { addSpecial: request.add_special ?? false });
      } else {
        if (model.template === null) {
          throw new ApiError(400, "invalid_request_error", "the model has no chat template; give content", {
            param: "messages",
          });
        }
        limits.expectText(
          request.messages.map(({ content }) => content),
          "messages",
        );
        tokens = encodeChat(model.tokenizer, model.template, request.messages);
      }
      return c.json({ tokens, count: tokens.length }, 200);
    })
    .openapi(detokenize, (c) => {
      const request = c.req.valid("json");
      if (request.model !== undefined) deployment.expectModel(request.model);
      limits.expectIds(request.tokens, "tokens");
      const content = model.tokenizer.decode(request.tokens, { skipSpecial: request.skip_special ?? false });
      return c.json({ content }, 200);
    });
}
