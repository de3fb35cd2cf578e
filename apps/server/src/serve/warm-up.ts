import { WinnowError } from "@winnow/core-tensor";
import { textPart, type Model, type SessionOptions } from "@winnow/runtime";

const TEXT = "Once upon a time there was a cache. ";

/**
 * Answer to nobody before anybody can ask. What runs on a device for the first time is compiled for it, while nothing else
 * happens in the process: without this, the first prompts would keep `/health` waiting for up to a quarter of a second. On
 * every backend it tells whoever starts the server, and not the first client, that the defaults do not fit the model.
 *
 * @param defaults how caches are cut unless a request says otherwise.
 * @param warn told where the budget or the context has no room for this prompt; there may be some for shorter ones.
 * @throws WinnowError `policy`, `plan` as the first request would get it.
 */
export async function warmUp(model: Model, defaults: SessionOptions, warn: (message: string) => void): Promise<void> {
  // The kernels of many rows, of few, and of one; those of sweeps and of probes are behind the policies.
  const prompt = [textPart(model.tokenizer, TEXT.repeat(8), true), textPart(model.tokenizer, TEXT, false)];
  const compiled: SessionOptions[] = model.engine.backend.name === "webgpu" ? [{ policy: "adaptive" }] : [];
  for (const options of [defaults, ...compiled]) {
    using session = model.createSession(options);
    try {
      await session.generate(prompt, { maxTokens: 2, ignoreEos: true }).report();
    } catch (error) {
      if (!(error instanceof WinnowError && (error.code === "memory" || error.code === "context"))) throw error;
      warn(error.message);
    }
  }
}
