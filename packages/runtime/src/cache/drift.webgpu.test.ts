import { describe, expect, test } from "vitest";

import type { KvReport } from "../generate/report";
import { loadModel, type Model } from "../model";
import { openBackend } from "../open-backend";
import { DRIFT_CHAINS, DRIFT_PROMPT, driftRegistry } from "../testing/drift-chains";
import { DEMO } from "../testing/models";

type Found = Pick<KvReport, "drift" | "plan" | "slots"> & { readonly tokens: readonly number[] };

async function found(model: Model, policy: string): Promise<Found> {
  const registry = driftRegistry();
  using session = model.createSession({ policy, drift: "upgrade", interval: 4, registry });
  const ids = model.tokenizer.encode(DRIFT_PROMPT, { addSpecial: false });
  const options = { maxTokens: 30, ignoreEos: true, temperature: 0 };
  const { tokens, kv } = await session.generate([{ ids, probe: null }], options).report();
  return { tokens, drift: kv.drift, plan: kv.plan, slots: kv.slots };
}

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("drift on WebGPU", () => {
  test.each(Object.keys(DRIFT_CHAINS))("is what it is on the CPU, over the chain %s", async (policy) => {
    using reference = await loadModel(DEMO);
    using model = await loadModel(DEMO, { backend: await openBackend("webgpu"), kvType: "f32" });
    const expected = await found(reference, policy);
    expect(expected.drift?.delayed).toBeGreaterThan(0);
    expect(await found(model, policy)).toEqual(expected);
    expect(model.engine.store.livePages).toBe(0);
  });
});
