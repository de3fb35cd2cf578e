import { join } from "node:path";

import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";
import { loadModel } from "@winnow/runtime";

import { startServer, type RunningServer, type ServerOptions } from "../server";

/** The demo model's folder. */
export const DEMO = join(import.meta.dirname, "../../../../models/demo");

/** Asks for what the demo model was trained on. */
export const QUESTION = "Tom is 31 years old. Mira keeps the red key in the barn. How old is Tom?";

/** A server with the demo model on a free port. */
export async function demoServer(
  options: ServerOptions & { readonly kvBudgetBytes?: number } = {},
): Promise<RunningServer & AsyncDisposable> {
  const { kvBudgetBytes = 64 * 2 ** 20, ...rest } = options;
  const model = await loadModel(DEMO, { backend: createCpuWorkerBackend(), kvBudgetBytes });
  const server = await startServer(model, "demo", { port: 0, ...rest });
  const close = (deadlineMs?: number): Promise<void> => server.close(deadlineMs);
  return { url: server.url, close, [Symbol.asyncDispose]: () => close(0) };
}
