import { mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { loadModel, openBackend } from "@winnow/runtime";

import { startServer, type RunningServer, type ServerOptions } from "../server";

/** The demo model's folder. */
export const DEMO = join(import.meta.dirname, "../../../../models/demo");

/** Asks for what the demo model was trained on. */
export const QUESTION = "Tom is 31 years old. Mira keeps the red key in the barn. How old is Tom?";

/** A folder with the demo model behind another chat template. */
export async function demoWithTemplate(template: string): Promise<AsyncDisposable & { readonly dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), "winnow-template-"));
  for (const file of await readdir(DEMO)) await symlink(join(DEMO, file), join(dir, file));
  await rm(join(dir, "tokenizer_config.json"));
  const config = JSON.parse(await readFile(join(DEMO, "tokenizer_config.json"), "utf8")) as object;
  await writeFile(join(dir, "tokenizer_config.json"), JSON.stringify({ ...config, chat_template: template }));
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

/** A server with the demo model on a free port. */
export async function demoServer(
  options: ServerOptions & { readonly kvBudgetBytes?: number; readonly dir?: string } = {},
): Promise<RunningServer & AsyncDisposable> {
  const { kvBudgetBytes = 64 * 2 ** 20, dir = DEMO, ...rest } = options;
  const model = await loadModel(dir, { backend: await openBackend("cpu"), kvBudgetBytes });
  const server = await startServer(model, "demo", { port: 0, ...rest });
  const close = (deadlineMs?: number): Promise<void> => server.close(deadlineMs);
  return { url: server.url, close, [Symbol.asyncDispose]: () => close(0) };
}
