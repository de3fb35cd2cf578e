import { idsPart, loadModel, openBackend } from "@winnow/runtime";

import { peakBytes } from "../peak-memory";
import { isEngine, type LoadSample } from "./load-sample";

/**
 * Load a model in a process of its own, so that its peak memory is that of the process, and read one token: only then has an
 * engine that maps files into memory seen every weight. Prints a sample as JSON.
 */
async function main([engine = "", path = ""]: readonly string[]): Promise<void> {
  if (!isEngine(engine)) throw new Error(`no engine is called "${engine}"`);
  const startBytes = peakBytes();
  let started: number;
  let deviceBytes: number | null = null;
  let loadMs: number;
  if (engine === "llama.cpp") {
    const { getLlama, LlamaLogLevel } = await import("node-llama-cpp");
    const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.disabled });
    started = performance.now();
    const model = await llama.loadModel({ modelPath: path });
    const context = await model.createContext({ contextSize: 64 });
    loadMs = performance.now() - started;
    const [token] = model.iterateAllTokens();
    if (token !== undefined)
      await context.getSequence().controlledEvaluate([[token, { generateNext: { token: true } }]]);
  } else {
    const backend = await openBackend(engine === "winnow on webgpu" ? "webgpu" : "cpu");
    started = performance.now();
    using model = await loadModel(path, { backend, context: 64 });
    loadMs = model.loadMs;
    deviceBytes = engine === "winnow on webgpu" ? model.engine.backend.memory.snapshot().weights : null;
    using session = model.createSession({ policy: "full" });
    await session.generate([idsPart(model.tokenizer, [0])], { maxTokens: 1, temperature: 0, ignoreEos: true }).report();
  }
  const readyMs = performance.now() - started;
  const sample: LoadSample = { loadMs, readyMs, peakBytes: peakBytes(), startBytes, deviceBytes };
  process.stdout.write(`${JSON.stringify(sample)}\n`);
}

await main(process.argv.slice(2));
// llama.cpp's threads would keep the process alive.
process.exit(0);
