import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";

import { demoServer } from "./testing/demo-server";
import { MalformedRequests, type JsonSchema } from "./testing/malformed-requests";

const COUNT = 2000;

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
}

interface Document {
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

let server: Awaited<ReturnType<typeof demoServer>>;
let document: Document;
/** Routes that take JSON, with its schema. */
let routes: { readonly path: string; readonly schema: JsonSchema }[];

beforeAll(async () => {
  server = await demoServer();
  document = (await (await fetch(`${server.url}/openapi.json`)).json()) as Document;
  routes = Object.entries(document.paths).flatMap(([path, operations]) => {
    const schema = operations.post?.requestBody?.content["application/json"]?.schema;
    return schema === undefined ? [] : [{ path, schema }];
  });
});

afterAll(async () => {
  await server.close(0);
});

async function refusal(path: string, body: string): Promise<{ status: number; message: string }> {
  const response = await fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal: AbortSignal.timeout(20_000),
  });
  const told = (await response.json()) as { error?: { message?: string } };
  return { status: response.status, message: told.error?.message ?? "" };
}

test("the document has the routes", () => {
  expect(routes.map(({ path }) => path).sort()).toEqual([
    "/detokenize",
    "/tokenize",
    "/v1/batches",
    "/v1/chat/completions",
    "/v1/completions",
  ]);
});

test("what does not fit the document is refused with a reason, two thousand times", async () => {
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (gen) => {
      const choose = <T>(of: readonly T[]): T => {
        const found = of[gen(fc.nat, { max: of.length - 1 })];
        if (found === undefined) throw new RangeError("nothing to choose from");
        return found;
      };
      const { path, schema } = choose(routes);
      const requests = new MalformedRequests(document.components.schemas, choose);
      let body = JSON.stringify(requests.broken(schema));
      // Some never become JSON.
      if (gen(fc.nat, { max: 9 }) === 0) body = body.slice(0, -1);
      const { status, message } = await refusal(path, body);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      expect({ status: Math.floor(status / 100), told: message !== "" }, `${path} ${body.slice(0, 500)}`).toEqual({
        status: 4,
        told: true,
      });
    }),
    { numRuns: COUNT, seed: 20261125, endOnFailure: true },
  );
  expect(statuses.get(400)).toBeGreaterThan(0.9 * COUNT);
  const health = await fetch(`${server.url}/health`);
  expect(health.status).toBe(200);
  expect(await (await fetch(`${server.url}/slots`)).json()).toMatchObject({ slots: [], cache: { reservedBytes: 0 } });
});
