import { getEventListeners } from "node:events";

import { expect, test, vi } from "vitest";

import { loadModel } from "../model";
import { TINY } from "../testing/models";

test("an answer that was parked again and again leaves nothing that listens to its signal", async () => {
  using model = await loadModel(TINY, { kvBudgetBytes: 2 ** 28 });
  const { admission } = model.engine;
  const take = admission.take.bind(admission);
  let short = false;
  vi.spyOn(admission, "take").mockImplementation((need, then) => {
    if (!short) return take(need, then);
    short = false;
    return Promise.resolve(null);
  });
  using older = model.createSession();
  using younger = model.createSession();
  await older.read([{ ids: [1, 2, 3], probe: null }]);
  await younger.read([{ ids: [1, 2, 3], probe: null }]);
  const park = vi.spyOn(younger.sequence, "park");
  const { signal } = new AbortController();
  const options = { maxTokens: 24, ignoreEos: true, temperature: 0 };
  const beside = older.generate([], options).report();
  let count = 0;
  let most = 0;
  for await (const _ of younger.generate([], { ...options, signal })) {
    // Now and then a round has no room for both.
    short = ++count % 4 === 3 && count < options.maxTokens / 2;
    most = Math.max(most, getEventListeners(signal, "abort").length);
  }
  await beside;
  expect(park.mock.calls.length).toBeGreaterThan(2);
  // One of the call's own.
  expect(most).toBe(1);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});
