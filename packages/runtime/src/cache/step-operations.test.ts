import { createCpuBackend, isLasting } from "@winnow/core-tensor";
import { expect, it, vi } from "vitest";

import { loadModel } from "../model";
import { TINY } from "../testing/models";
import { LONG_IDS } from "../testing/session-uses";

/** Operations are told of a cache's lengths in steps of 64 slots: these tokens stay within one. */
const PROMPT_TOKENS = 20;
const TOKENS = 24;
/** The first make what all use; logits take turns in two places. */
const WARM_TOKENS = 6;

it.each(["full", "frequent(40)"])("are the same objects from token to token, with %s", async (policy) => {
  using backend = createCpuBackend();
  const specs = new Set<object>();
  const passed = { matmul: 0, append: 0, attend: 0 };
  for (const name of ["matmul", "append", "attend"] as const) {
    const run: (spec: never) => void = backend[name];
    vi.spyOn(backend, name).mockImplementation((spec: object) => {
      if (isLasting(spec)) passed[name]++;
      specs.add(spec);
      run(spec as never);
    });
  }
  using model = await loadModel(TINY, { backend });
  using session = model.createSession({ policy, interval: TOKENS });
  const part = { ids: LONG_IDS.slice(0, PROMPT_TOKENS), probe: null };
  let drawn = 0;
  let known = 0;
  for await (const { kind } of session.generate([part], { maxTokens: TOKENS, ignoreEos: true })) {
    if (kind === "token" && ++drawn === WARM_TOKENS) known = specs.size;
  }
  expect(drawn).toBe(TOKENS);
  expect(specs.size).toBe(known);
  expect(Math.min(...Object.values(passed))).toBeGreaterThanOrEqual(TOKENS - WARM_TOKENS);
});
