import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { KvType } from "@winnow/core-tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { fullCacheBytes } from "./cache/kv-store";
import { loadModel, type Model } from "./model";
import { openBackend } from "./open-backend";
import { restoreSession, saveSession } from "./session/session-file";
import { cacheContents } from "./testing/cache-contents";
import { readGoldens } from "./testing/goldens";
import { DEMO } from "./testing/models";

/** Of the largest logit, where the cache rounds what it stores. */
const TOLERANCE = 2e-2;

const open = async (name: "cpu" | "webgpu", kvType?: KvType): Promise<Model> =>
  loadModel(DEMO, { backend: await openBackend(name), kvType });

const TYPES = {
  // Unless told otherwise, halves.
  webgpu: [
    { name: "a cache in halves", kvType: undefined, share: 1 / 2 },
    { name: "a cache in q8", kvType: "q8", share: (32 + 4) / (4 * 32) },
  ],
  cpu: [{ name: "a cache in q8", kvType: "q8", share: (32 + 4) / (4 * 32) }],
} as const;

const backends: readonly (keyof typeof TYPES)[] = process.env.WINNOW_NO_GPU === undefined ? ["cpu", "webgpu"] : ["cpu"];

/** Bytes of the buffers that hold keys and values. */
function slabBytes({ engine }: Model): number {
  const labels = [...engine.backend.memory.byLabel()];
  return labels.reduce((sum, [label, bytes]) => sum + (label.startsWith("kv.layer") ? bytes : 0), 0);
}

describe.each(backends)("on %s", (backend) => {
  let whole: Model;

  beforeAll(async () => {
    whole = await open(backend, "f32");
  });

  afterAll(() => {
    whole[Symbol.dispose]();
  });

  describe.each(TYPES[backend])("$name", ({ kvType, share }) => {
    const folder = mkdtempSync(join(tmpdir(), "winnow-kv-type-"));
    let model: Model;

    beforeAll(async () => {
      model = await open(backend, kvType);
    });

    afterAll(() => {
      model[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    test.each(readGoldens("demo").filter((_, i) => i % 5 === 0))(
      "gives the oracle's logits and greedy tokens, prompt $#",
      async (golden) => {
        using session = model.createSession({ policy: "full" });
        // All but the last token go into pages first, so that its row reads what they hold.
        await session.read([{ ids: golden.ids.slice(0, -1), probe: null }]);
        let found: Float32Array | Uint32Array = new Float32Array(0);
        const onPromptRead = async (): Promise<void> => {
          found = await model.engine.backend.download(session.sequence.logits, 0, golden.logits.length);
        };
        const part = { ids: golden.ids.slice(-1), probe: null };
        const options = { maxTokens: golden.greedy.length, ignoreEos: true, temperature: 0, onPromptRead };
        const { tokens } = await session.generate([part], options).report();
        golden.logits.forEach((logit, i) => {
          expect(Math.abs((found[i] ?? NaN) - logit)).toBeLessThan(TOLERANCE * Math.abs(golden.largest_logit));
        });
        // A lead is lost only where both logits are off.
        const clear = golden.greedy_gap.findIndex((lead) => lead < 2 * TOLERANCE);
        const count = clear < 0 ? golden.greedy.length : clear;
        expect(count).toBeGreaterThan(0);
        expect(tokens.slice(0, count)).toEqual(golden.greedy.slice(0, count));
      },
    );

    test.each(["full", "sink(4) | recent(20)"])(
      "takes its share of the bytes of one in f32, page by page and buffer by buffer: %s",
      async (policy) => {
        const bytesOf = async (of: Model): Promise<{ readonly pages: number; readonly slabs: number }> => {
          using session = of.createSession({ policy });
          await session.read([{ ids: readGoldens("demo")[12]?.ids ?? [], probe: null }]);
          const columns = session.sequence.layers.reduce(
            (sum, layer) =>
              sum +
              layer.lengths.reduce(
                (bytes, _, head) =>
                  bytes +
                  layer.columnsOf(head).length * layer.kvPlaces(head).length * of.engine.store.columns.pageBytes,
                0,
              ),
            0,
          );
          const report = session.sequence.report();
          if (policy === "full") {
            expect(report.bytes).toBe(fullCacheBytes(of.engine.store.layout, session.tokens.length));
          }
          return { pages: report.bytes - columns, slabs: slabBytes(of) };
        };
        const { pages, slabs } = await bytesOf(whole);
        expect(pages).toBeGreaterThan(0);
        expect(await bytesOf(model)).toEqual({ pages: pages * share, slabs: slabs * share });
      },
    );

    test("is restored as it was, in this type and in f32", async () => {
      const file = join(folder, "session");
      using session = model.createSession({ policy: "sink(4) | recent(20)", interval: 4 });
      const ids = readGoldens("demo")[12]?.ids ?? [];
      await session.generate([{ ids, probe: null }], { maxTokens: 6, ignoreEos: true }).report();
      const contents = await cacheContents(model, session);
      await saveSession(session, model, file);
      for (const into of [model, whole]) {
        const { session: restored } = await restoreSession(into, file);
        using other = restored;
        expect(await cacheContents(into, other)).toEqual(contents);
      }
    });

    test("takes over a session that was saved in f32", async () => {
      const file = join(folder, "whole");
      using session = whole.createSession({ policy: "full" });
      await session.read([{ ids: readGoldens("demo")[12]?.ids ?? [], probe: null }]);
      await saveSession(session, whole, file);
      const expected = (await cacheContents(whole, session)).flat();
      const { session: restored } = await restoreSession(model, file);
      using other = restored;
      const found = (await cacheContents(model, other)).flat();
      expect(found.length).toBe(expected.length);
      expected.forEach(({ keys }, head) => {
        for (let slot = 0; slot < keys.length; slot += 32) {
          const was = keys.subarray(slot, slot + 32);
          const most = Math.max(...was.map(Math.abs));
          was.forEach((key, i) => {
            // Half a step of q8; halves are finer.
            expect(Math.abs((found[head]?.keys[slot + i] ?? NaN) - key)).toBeLessThanOrEqual((most / 254) * 1.001);
          });
        }
      });
    });
  });
});
