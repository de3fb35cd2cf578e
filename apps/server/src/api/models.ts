import { OpenAPIHono, createRoute, z } from "@hono/zod-openapi";

import { invalid } from "../http/invalid";
import type { Deployment } from "../serve/deployment";
import { refusals } from "./error-schema";

const modelSchema = z
  .strictObject({
    id: z.string(),
    object: z.literal("model"),
    created: z.int(),
    owned_by: z.string(),
    context_length: z.int(),
  })
  .openapi("Model");

const list = createRoute({
  method: "get",
  path: "/v1/models",
  summary: "The models that are served",
  responses: {
    200: {
      description: "A list of one",
      content: {
        "application/json": { schema: z.strictObject({ object: z.literal("list"), data: z.array(modelSchema) }) },
      },
    },
    ...refusals,
  },
});

const one = createRoute({
  method: "get",
  path: "/v1/models/{model}",
  summary: "A model by its name",
  request: { params: z.object({ model: z.string().min(1) }) },
  responses: {
    200: { description: "The model", content: { "application/json": { schema: modelSchema } } },
    ...refusals,
  },
});

/** `GET /v1/models`, `GET /v1/models/{model}` */
export function models(deployment: Deployment): OpenAPIHono {
  const model = (): z.infer<typeof modelSchema> => ({
    id: deployment.modelId,
    object: "model",
    created: deployment.created,
    owned_by: "winnow",
    context_length: deployment.model.engine.context,
  });
  return new OpenAPIHono({ defaultHook: invalid })
    .openapi(list, (c) => c.json({ object: "list" as const, data: [model()] }, 200))
    .openapi(one, (c) => {
      deployment.expectModel(c.req.valid("param").model);
      return c.json(model(), 200);
    });
}
