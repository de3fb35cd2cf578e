import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { KvType } from "@winnow/core-tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { fullCacheBytes } from "./cache/kv-store";
import { loadModel, type Model } from "./model";
import { openBackend } from "./open-backend";
import { restoreSession, saveSession } from "./session/session-file";
import { cacheContents, newestLogits } from "./testing/cache-contents";
import { readGoldens } from "./testing/goldens";
import { DEMO } from "./testing/models";

const open = async (name: "cpu" | "webgpu", kvType?: KvType): Promise<Model> =>
  loadModel(DEMO, { backend: await openBackend(name), kvType });

const Q8 = { name: "a cache in q8", kvType: "q8", share: (32 + 4) / (4 * 32), levels: 127, tolerance: 2e-2 } as const;
/** So coarse that the oracle's logits say little of it. */
const Q4 = { name: "a cache in q4", kvType: "q4", share: (16 + 4) / (4 * 32), levels: 7, tolerance: null } as const;

const TYPES = {
  // Unless told otherwise, halves; they are finer than q8.
  webgpu: [{ name: "a cache in halves", kvType: undefined, share: 1 / 2, levels: 127, tolerance: 2e-2 }, Q8, Q4],
  cpu: [Q8, Q4],
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

  describe.each(TYPES[backend])("$name", ({ kvType, share, levels, tolerance }) => {
    const folder = mkdtempSync(join(tmpdir(), "winnow-kv-type-"));
    let model: Model;

    beforeAll(async () => {
      model = await open(backend, kvType);
    });

    afterAll(() => {
      model[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    test("attends to what it holds as one in f32 does that holds the same", async () => {
      const ids = readGoldens("demo")[12]?.ids ?? [];
      using session = model.createSession({ policy: "sink(4) | recent(40)" });
      await session.read([{ ids: ids.slice(0, -1), probe: null }]);
      const file = join(folder, "held");
      await saveSession(session, model, file);
      const { session: restored } = await restoreSession(whole, file);
      using other = restored;
      for (const one of [session, other]) await one.read([{ ids: ids.slice(-1), probe: null }]);
      const [found, expected] = [await newestLogits(model, session), await newestLogits(whole, other)];
      const largest = Math.max(...Array.from(expected, Math.abs));
      // The newest row reads itself from its page too, rounded there.
      const rounding = tolerance ?? 5e-2;
      expected.forEach((logit, token) => {
        expect(Math.abs((found[token] ?? NaN) - logit)).toBeLessThan(rounding * largest);
      });
    });

    test.skipIf(tolerance === null).each(readGoldens("demo").filter((_, i) => i % 5 === 0))(
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
          expect(Math.abs((found[i] ?? NaN) - logit)).toBeLessThan((tolerance ?? 0) * Math.abs(golden.largest_logit));
        });
        // A lead is lost only where both logits are off.
        const clear = golden.greedy_gap.findIndex((lead) => lead < 2 * (tolerance ?? 0));
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
            const halfStep = (most / (2 * levels)) * 1.001;
            expect(Math.abs((found[head]?.keys[slot + i] ?? NaN) - key)).toBeLessThanOrEqual(halfStep);
          });
        }
      });
    });
  });
});
