import { WinnowError } from "@winnow/core-tensor";
import { createWebGpuBackend, type Gpu } from "@winnow/gpu-backend";
import { idsPart, loadModel } from "@winnow/runtime";

import { repositoryRoot } from "../repository";
import { measureDecodeAttention, measurePromptAttention } from "./attention";
import type { Extent } from "./extent";
import { fillCache } from "./filled-cache";
import { HostClock } from "./host-clock";
import { measureProducts } from "./products";
import { tell } from "../progress";
import { measurePrompt, readPrompt } from "./prompts";
import type { Ceilings, OperationRow, PromptRow, ShapeResult, Skipped, TokenRow } from "./result";
import { measureSample } from "./sampling";
import { ShapeBench } from "./shape-bench";
import { filesOf, type ModelShape } from "./shapes";
import { measureTokens } from "./tokens";

export interface ShapeMeasurement {
  readonly shape: ModelShape;
  readonly request: () => Promise<Gpu>;
  readonly ceilings: Ceilings;
  readonly extent: (context: number, software: boolean) => Extent;
}

/**
 * Load a shape's model and measure it. Each shape has a device of its own, so that one that runs out of memory is of no
 * matter to the next.
 *
 * @throws WinnowError `backend` when the device fails.
 */
export async function measureShape({
  shape,
  request,
  ceilings,
  extent,
}: ShapeMeasurement): Promise<ShapeResult | Skipped> {
  tell(`${shape.name}: loading`);
  const hostClock = new HostClock();
  // The model disposes it too, once there is one.
  using backend = hostClock.watch(createWebGpuBackend(await request()));
  try {
    using model = await loadModel(filesOf(shape, `${repositoryRoot()}/models/demo`), { backend });
    const software = backend.gpu.adapter.software !== null;
    const bench = new ShapeBench(model, backend, hostClock, ceilings);
    return await measureModel(shape.name, bench, extent(model.config.context, software));
  } catch (error) {
    if (error instanceof WinnowError && error.code === "memory") return { name: shape.name, skipped: error.message };
    throw error;
  }
}

async function measureModel(name: string, bench: ShapeBench, extent: Extent): Promise<ShapeResult> {
  const { model, backend } = bench;
  const operations: (OperationRow | Skipped)[] = [];
  const prompts: (PromptRow | Skipped)[] = [];
  const tokens: (TokenRow | Skipped)[] = [];
  tell(`${name}: operations`);
  for (const rows of extent.rows) operations.push(...(await measureProducts(bench, rows)));
  const attention = await measurePromptAttention(bench, extent.prompt);
  operations.push(...attention.operations, await measureSample(bench));
  for (const policy of extent.policies) {
    const what = `${policy}, prompt of ${extent.prompt}`;
    tell(`${name}: ${what}`);
    const open = () => model.createSession({ policy });
    prompts.push(await bench.attempt(what, () => measurePrompt(bench, what, extent.prompt, extent.readings, open)));
    tokens.push(
      await bench.attempt(what, async () => {
        using session = open();
        await readPrompt(bench, session, extent.prompt);
        return await measureTokens(bench, what, session, extent.tokens);
      }),
    );
  }
  for (const slots of extent.contexts) {
    const what = `full cache of ${slots}`;
    tell(`${name}: ${what}`);
    tokens.push(
      await bench.attempt(what, async () => {
        using session = model.createSession({ policy: "full" });
        await session.read([idsPart(model.tokenizer, [0])]);
        await fillCache(session.sequence, slots);
        operations.push(...(await measureDecodeAttention(bench, session.sequence)));
        return await measureTokens(bench, what, session, extent.tokens);
      }),
    );
  }
  const { decoder, store } = model.engine;
  return {
    name,
    layers: decoder.weights.layers.length,
    weightBytes: backend.memory.snapshot().weights,
    kvType: store.layout.kvType,
    operations,
    massTable: attention.massTable,
    prompts,
    tokens,
  };
}
