import { loadModel } from "../model";
import { openBackend } from "../open-backend";
import { temporaryDirectory } from "../files/testing/temporary-directory";
import { DRIFT_CHAINS, driftRegistry } from "../testing/drift-chains";
import { DEMO, TINY } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { randomModel } from "../testing/random-model";
import { LONG_IDS } from "../testing/session-uses";
import { speculationSuite } from "../testing/speculation-suite";

const at = temporaryDirectory();
const PAGES = { pageSlots: 8 };
const REPEATING = [...LONG_IDS.slice(0, 40), ...LONG_IDS.slice(10, 40), ...LONG_IDS.slice(0, 20)];

speculationSuite("on the reference", { load: () => loadModel(TINY, PAGES), ids: REPEATING, runs: 6 });

speculationSuite("on the CPU", {
  load: async () => loadModel(TINY, { ...PAGES, backend: await openBackend("cpu", { threads: 2 }) }),
  ids: REPEATING,
  runs: 3,
});

speculationSuite("over a cache in q8", {
  load: async () => loadModel(DEMO, { ...PAGES, kvType: "q8", backend: await openBackend("cpu", { threads: 2 }) }),
  ids: goldenIds("demo", 60),
  policies: ["adaptive", "fastgen", "heavy-hitter"],
  runs: 3,
});

speculationSuite("where heads drift", {
  load: async () => loadModel(DEMO, { ...PAGES, backend: await openBackend("cpu", { threads: 2 }) }),
  ids: goldenIds("demo", 60),
  policies: Object.keys(DRIFT_CHAINS),
  session: { drift: "upgrade", registry: driftRegistry() },
  runs: 6,
});

/** Every second layer sees a window, which answers outgrow. */
const WINDOWED = { architectures: ["Gemma2ForCausalLM"], sliding_window: 24, attn_logit_softcapping: 8 };

speculationSuite("behind windows", {
  load: async () => loadModel(await randomModel(at("windowed"), WINDOWED), PAGES),
  ids: [...goldenIds("demo", 30), ...goldenIds("demo", 12)],
  policies: ["full", "adaptive", "fastgen", "heavy-hitter"],
  runs: 3,
});
