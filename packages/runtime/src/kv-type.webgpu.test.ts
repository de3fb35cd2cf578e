import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loadModel, type Model } from "./model";
import { openBackend } from "./open-backend";
import { readGoldens } from "./testing/goldens";
import { DEMO } from "./testing/models";

/** Of the largest logit, where the cache is stored in halves. */
const TOLERANCE = 2e-2;

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("a cache in halves on WebGPU", () => {
  let halves: Model;
  let whole: Model;

  beforeAll(async () => {
    halves = await loadModel(DEMO, { backend: await openBackend("webgpu") });
    whole = await loadModel(DEMO, { backend: await openBackend("webgpu"), kvType: "f32" });
  });

  afterAll(() => {
    halves[Symbol.dispose]();
    whole[Symbol.dispose]();
  });

  test.each(readGoldens("demo").filter((_, i) => i % 5 === 0))(
    "gives the oracle's logits, prompt $#",
    async (golden) => {
      using session = halves.createSession({ policy: "full" });
      // All but the last token go into pages first, so that its row reads halves.
      await session.read([{ ids: golden.ids.slice(0, -1), probe: null }]);
      let found: Float32Array | Uint32Array = new Float32Array(0);
      const onPromptRead = async (): Promise<void> => {
        found = await halves.engine.backend.download(session.sequence.logits, 0, golden.logits.length);
      };
      const part = { ids: golden.ids.slice(-1), probe: null };
      await session.generate([part], { maxTokens: 1, ignoreEos: true, onPromptRead }).report();
      golden.logits.forEach((logit, i) => {
        expect(Math.abs((found[i] ?? NaN) - logit)).toBeLessThan(TOLERANCE * Math.abs(golden.largest_logit));
      });
    },
  );

  test.each(["full", "sink(4) | recent(20)"])(
    "takes half the bytes of one in f32, page by page: %s",
    async (policy) => {
      const bytesOf = async (model: Model): Promise<number> => {
        using session = model.createSession({ policy });
        await session.read([{ ids: readGoldens("demo")[12]?.ids ?? [], probe: null }]);
        const columns = session.sequence.layers.reduce(
          (sum, layer) =>
            sum +
            layer.lengths.reduce(
              (of, _, head) =>
                of + layer.columnsOf(head).length * layer.kvPlaces(head).length * model.engine.store.columns.pageBytes,
              0,
            ),
          0,
        );
        return session.sequence.report().bytes - columns;
      };
      expect(await bytesOf(halves)).toBe((await bytesOf(whole)) / 2);
    },
  );
});
