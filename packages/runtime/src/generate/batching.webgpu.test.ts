import { createWebGpuBackend, requestGpu } from "@winnow/gpu-backend";
import { describe, expect, test, vi } from "vitest";

import { loadModel } from "../model";
import { batchingSuite } from "../testing/batching-suite";
import { TINY } from "../testing/models";
import { LONG_IDS } from "../testing/session-uses";

const load = async () => {
  vi.spyOn(process, "emitWarning").mockReturnValue();
  const backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
  return { backend, model: await loadModel(TINY, { backend }) };
};

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("on WebGPU", () => {
  batchingSuite("in halves", async () => (await load()).model);

  test("eight answers share their products", async () => {
    const { backend, model: loaded } = await load();
    using model = loaded;
    const dispatchesOf = async (answers: number): Promise<number> => {
      const sessions = Array.from({ length: answers }, () => model.createSession({ policy: "full" }));
      await Promise.all(sessions.map((session, i) => session.read([{ ids: LONG_IDS.slice(i, i + 20), probe: null }])));
      const before = backend.counts.dispatches;
      const reports = sessions.map((session, i) =>
        session.generate([{ ids: LONG_IDS.slice(i, i + 1), probe: null }], { maxTokens: 21, ignoreEos: true }).report(),
      );
      await Promise.all(reports);
      for (const session of sessions) session[Symbol.dispose]();
      return backend.counts.dispatches - before;
    };
    const [one, eight] = [await dispatchesOf(1), await dispatchesOf(8)];
    // Four products a layer and the head are one for all, but for those who come early or late.
    const shared = 7 * 20 * (4 * model.config.layers + 1);
    expect(8 * one - eight).toBeGreaterThan(0.5 * shared);
  });
});
