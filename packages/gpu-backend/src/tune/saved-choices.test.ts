import { describe, expect, it } from "vitest";

import { PLAIN_CAPABILITIES } from "../device/capabilities";
import { DEFAULT_LIMITS } from "../device/limits";
import { KernelFamily } from "./kernel-family";
import { loadKernelChoices, saveKernelChoices } from "./saved-choices";
import type { TextStore } from "./text-store";

const adapter = {
  name: "a GPU, driver 1",
  vendor: "v",
  architecture: "a",
  device: "d",
  implementation: "Dawn of webgpu 1",
  software: null,
  features: [],
  limits: DEFAULT_LIMITS,
  subgroups: null,
  subgroupMatrices: [],
} as const;

class MemoryStore implements TextStore {
  readonly texts = new Map<string, string>();
  read(name: string): Promise<string | null> {
    return Promise.resolve(this.texts.get(name) ?? null);
  }
  write(name: string, text: string): Promise<void> {
    this.texts.set(name, text);
    return Promise.resolve();
  }
}

const choice = { variant: "b", source: "1" };
const choices = new Map([["k", choice]]);

describe("saved choices", () => {
  it("come back, and those for other shapes stay", async () => {
    const store = new MemoryStore();
    await saveKernelChoices(store, { adapter }, { choices });
    await saveKernelChoices(store, { adapter }, { choices: new Map([["other", choice]]) });
    expect(await loadKernelChoices(store, { adapter })).toEqual(
      new Map([
        ["k", choice],
        ["other", choice],
      ]),
    );
    expect([...store.texts.keys()]).toEqual([expect.stringMatching(/^kernels-[0-9a-f]{14}\.json$/)]);
  });

  it.each([
    ["another driver", { name: "a GPU, driver 2" }],
    ["another implementation", { implementation: "Dawn of webgpu 2" }],
  ])("are not those of %s", async (_, other) => {
    const store = new MemoryStore();
    await saveKernelChoices(store, { adapter }, { choices });
    expect((await loadKernelChoices(store, { adapter: { ...adapter, ...other } })).size).toBe(0);
  });

  it.each(["", "{", "null", "[]", '{"format":0}', '{"format":1,"adapter":"x","choices":{}}'])(
    "are none where the file is %j, which the next ones replace",
    async (text) => {
      const store = new MemoryStore();
      await saveKernelChoices(store, { adapter }, { choices });
      const [name = ""] = store.texts.keys();
      store.texts.set(name, text);
      expect((await loadKernelChoices(store, { adapter })).size).toBe(0);
      await saveKernelChoices(store, { adapter }, { choices });
      expect(await loadKernelChoices(store, { adapter })).toEqual(choices);
    },
  );

  it("leave out an entry that is none", async () => {
    const store = new MemoryStore();
    await saveKernelChoices(store, { adapter }, { choices });
    const [[name, text] = ["", ""]] = store.texts;
    store.texts.set(name, text.replace('"choices": {', '"choices": {"broken": 3, "half": {"variant": "b"},'));
    expect(await loadKernelChoices(store, { adapter })).toEqual(choices);
  });

  it("are none where the store fails", async () => {
    const store: TextStore = {
      read: () => Promise.reject(new Error("EACCES")),
      write: () => Promise.reject(new Error("EROFS")),
    };
    expect((await loadKernelChoices(store, { adapter })).size).toBe(0);
    await expect(saveKernelChoices(store, { adapter }, { choices })).rejects.toThrow("EROFS");
  });
});

describe("a family", () => {
  const family = new KernelFamily<number, string>({
    name: "f",
    keyOf: String,
    candidates: () => ["a", "b"].map((name) => ({ name, choice: name, rounds: false })),
    wgslOf: (shape, name) => `${name}${shape}`,
    siblings: (shape) => [shape, shape + 1],
    workload: () => () => [],
  });
  const source = family.sourceOf(7, PLAIN_CAPABILITIES);
  const target = (saved: object) => ({
    ...PLAIN_CAPABILITIES,
    kernels: new Map([["f 7", { variant: "b", source, ...saved }]]),
  });

  it("takes what was saved, and the first candidate where that is gone or the shaders are others", () => {
    expect(family.choiceFor(7, target({}))).toBe("b");
    expect(family.choiceFor(7, target({ variant: "c" }))).toBe("a");
    expect(family.choiceFor(7, target({ source: "0" }))).toBe("a");
    expect(family.choiceFor(8, target({}))).toBe("a");
  });

  it("notes which shapes were looked up by whom", () => {
    const [mine, another] = [target({}), target({})];
    family.choiceFor(7, mine);
    family.choiceFor(8, mine);
    expect(family.shapesUsed(mine.kernels)).toEqual([7, 8, 9]);
    expect(family.shapesUsed(another.kernels)).toEqual([]);
  });
});
