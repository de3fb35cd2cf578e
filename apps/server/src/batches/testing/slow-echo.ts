import { setTimeout as sleep } from "node:timers/promises";

import { z } from "@hono/zod-openapi";

import type { RunLine } from "../run-line";

/** What a test's line asks of `slowEcho`. */
const asked = z.object({
  n: z.number(),
  ms: z.number().default(1),
  status: z.number().default(200),
  die: z.boolean().default(false),
});

/** Answers a line with what it asked, after the time that it asked for; computes nothing. */
export const slowEcho: RunLine = async (_url, body, signal) => {
  const { n, ms, status, die } = asked.parse(body);
  if (die) process.kill(process.pid, "SIGKILL");
  await sleep(ms, undefined, { signal });
  return { status, body: { echo: n } };
};
