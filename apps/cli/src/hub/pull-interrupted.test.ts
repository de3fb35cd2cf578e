import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { cachedModels } from "./cached-models";
import type { Patience } from "./patience";
import { body, cutAt, drip, ignoreRange, silence, stallAt, status } from "./testing/faults";
import { PullScene, QUICK, CONFIG, FOLDER, WEIGHTS, bytes } from "./testing/pull-scene";

const scene = new PullScene();

describe("a download that is interrupted", () => {
  test("goes on where the connection was cut", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", cutAt(120_000));
    const { dir } = await scene.get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(scene.asked("model.safetensors")).toEqual([0, 120_000]);
    expect(scene.notes).toEqual([
      expect.stringMatching(/^a\/b, model\.safetensors: the connection was cut; attempt 2 of 3/),
    ]);
  });

  test("goes on in the next call, and in the one after that", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", cutAt(80_000), status(404), cutAt(150_000, 80_000), status(404));
    await scene.failure("a/b");
    await scene.failure("a/b");
    const [found] = await cachedModels(scene.root);
    expect(found).toMatchObject({ place: null, format: "safetensors" });
    const seen: number[] = [];
    const { dir } = await scene.get("a/b", { onProgress: (done) => seen.push(done) });
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(scene.asked("model.safetensors")).toEqual([0, 80_000, 80_000, 150_000, 150_000]);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(WEIGHTS.length + CONFIG.length + 2);
  });

  test("goes on after an abort", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", stallAt(50_000));
    const controller = new AbortController();
    const error: unknown = await scene
      .get("a/b", {
        patience: { ...QUICK, stallMs: 60_000 },
        signal: controller.signal,
        onProgress: (done) => {
          if (done > 50_000) controller.abort();
        },
      })
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "aborted" });
    await scene.get("a/b");
    const [, second = 0] = scene.asked("model.safetensors");
    expect(second).toBeGreaterThan(0);
  });

  test("begins anew where the hub has another file meanwhile", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", cutAt(120_000), status(404));
    await scene.failure("a/b");
    const newer = bytes(150_000, 7);
    scene.hub.publish("a/b", { ...FOLDER, "model.safetensors": newer });
    scene.hub.requests.length = 0;
    const { dir } = await scene.get("a/b");
    expect(scene.asked("model.safetensors")).toEqual([0]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(newer)).toBe(true);
    expect(files(dir).filter((file) => file.endsWith(".part"))).toEqual([]);
  });

  test("begins anew where the server knows no ranges", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", cutAt(120_000), ignoreRange);
    const { dir } = await scene.get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("begins anew where what came before was damaged, once", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", cutAt(120_000), status(404));
    await scene.failure("a/b");
    const [model] = await cachedModels(scene.root);
    const part = files(model?.dir ?? "").find((file) => file.startsWith("model.safetensors")) ?? "";
    writeFileSync(join(model?.dir ?? "", part), bytes(120_000, 8));
    scene.hub.requests.length = 0;
    const { dir } = await scene.get("a/b");
    expect(scene.asked("model.safetensors")).toEqual([120_000, 0]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("begins anew where another range is answered than was asked for", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", cutAt(120_000), cutAt(150_000, 130_000));
    const { dir } = await scene.get("a/b");
    expect(scene.asked("model.safetensors")).toEqual([0, 120_000, 0]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("does not go on for ever with a server that always hangs up", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.hub.fault = ({ what, from }) => (what === "storage" ? cutAt(from + 10, from) : null);
    expect(await scene.failure("a/b")).toMatch(
      /model\.safetensors: the connection was cut, 3 times in a row; check the connection/,
    );
    expect(scene.asked("model.safetensors")).toEqual([0, 10, 20]);
  });
});

describe("a server that is slow", () => {
  test("is waited for as long as something comes", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", drip(10, 180));
    const { dir } = await scene.get("a/b", { patience: { ...QUICK, stallMs: 1500 } });
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(scene.asked("model.safetensors")).toEqual([0]);
    expect(scene.notes).toEqual([]);
  });

  test("is asked again when it falls silent amid a file", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.faulty("model.safetensors", stallAt(70_000));
    const { dir } = await scene.get("a/b", { patience: { ...QUICK, stallMs: 300 } });
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(scene.asked("model.safetensors")).toEqual([0, 70_000]);
    expect(scene.notes).toEqual([expect.stringMatching(/nothing came for 0.3 s; attempt 2 of 3/)]);
  });

  test.each(["commit", "listing", "file", "storage"] as const)(
    "is given up when it never answers: %s",
    async (what) => {
      scene.hub.publish("a/b", FOLDER);
      scene.hub.fault = (request) => (request.what === what ? silence : null);
      expect(await scene.failure("a/b", { patience: { ...QUICK, stallMs: 80 } })).toMatch(
        /nothing came for 0.08 s, 3 times in a row/,
      );
    },
  );

  test("is not there", async () => {
    await scene.hub[Symbol.asyncDispose]();
    expect(await scene.failure("a/b")).toMatch(/^a\/b: nothing answers at the hub's address, 3 times in a row/);
  });
});

test("whatever happens, what is there in the end is the file or nothing, and no call goes on for ever", async () => {
  const content = bytes(5000, 5);
  const patience: Patience = { stallMs: 40, attempts: 3, backoffMs: 1, longestWaitMs: 5 };
  const at = fc.integer({ min: 0, max: content.length });
  const fault = fc.oneof(
    at.map((n) => cutAt(n)),
    fc.tuple(at, at).map(([from, n]) => cutAt(n, from)),
    at.map((n) => stallAt(n)),
    at.map((n) => body(content.subarray(0, n))),
    fc.tuple(at, fc.integer({ min: 1, max: 9 })).map(([n, seed]) => body(bytes(n, seed))),
    fc.constantFrom(ignoreRange, silence, status(500), status(503), status(404), status(416), status(206), status(204)),
    fc.constant(null),
  );
  let whole = 0;
  let failed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 8 }), async (faults) => {
      rmSync(scene.root, { recursive: true, force: true });
      scene.hub.publish("a/b", { "m.gguf": content });
      scene.faulty("m.gguf", ...faults);
      // Each call uses up a fault or gets the file.
      for (let call = 0; call < 10; call++) {
        const error: unknown = await scene.get("a/b", { patience }).then(
          () => null,
          (cause: unknown) => cause,
        );
        const [model] = await cachedModels(scene.root);
        if (error === null) {
          whole++;
          expect(readFileSync(model?.place ?? "").equals(content)).toBe(true);
          return;
        }
        failed++;
        expect(error).toMatchObject({ code: "file", message: expect.stringMatching(/^[^\n]+$/) as string });
        expect(model?.place ?? null).toBeNull();
      }
      expect.fail("the file never came");
    }),
    { seed: 4, numRuns: 80 },
  );
  expect(whole).toBe(80);
  expect(failed).toBeGreaterThan(15);
});

function files(dir: string): string[] {
  return readdirSync(dir).sort();
}
