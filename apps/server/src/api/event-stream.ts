import type { Context } from "hono";
import { streamSSE } from "hono/streaming";

import { refusalOf } from "../http/refusal";

/** A line that keeps proxies and clients from giving up while a prompt is read. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Chunks as server-sent events, in OpenAI's way: each as JSON, then `[DONE]`; what goes wrong amid them is an event of its
 * own.
 */
export function eventStream(c: Context, chunks: AsyncIterable<object>): Response {
  // Proxies would gather events.
  c.header("X-Accel-Buffering", "no");
  c.header("Cache-Control", "no-cache");
  return streamSSE(c, async (stream) => {
    const alive = setInterval(() => {
      void stream.write(": waiting\n\n");
    }, KEEP_ALIVE_MS);
    try {
      for await (const chunk of chunks) await stream.writeSSE({ data: JSON.stringify(chunk) });
      await stream.writeSSE({ data: "[DONE]" });
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal.status >= 500) c.var.log.error({ err: error }, "an answer failed");
      if (!stream.aborted) await stream.writeSSE({ data: JSON.stringify(refusal) });
    } finally {
      clearInterval(alive);
      c.var.answered();
    }
  });
}
