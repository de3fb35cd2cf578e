import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { WinnowError, randomWord } from "@winnow/core-tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loadModel, type Model } from "../model";
import { textPart } from "../prompt/parts";
import type { PromptPart } from "../prompt/prompt-part";
import type { Session } from "./session";
import { restoreSession, saveSession } from "./session-file";

const TEXT = "Mira keeps the red key in the barn. Tom is 31 years old. The weather in Arlen was sunny that day.";
const QUESTION: PromptPart = { ids: [50, 60, 70], probe: null };
const folder = mkdtempSync(join(tmpdir(), "winnow-session-"));
const file = join(folder, "session");
let model: Model;

beforeAll(async () => {
  model = await loadModel(join(import.meta.dirname, "../../../../models/demo"));
});

afterAll(() => {
  model[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** A session that has read a text and written a few tokens. */
async function begun(policy: string): Promise<Session> {
  const session = model.createSession({ policy, interval: 4 });
  await session.generate([textPart(model.tokenizer, TEXT, true)], { maxTokens: 10, ignoreEos: true }).report();
  return session;
}

describe.each(["full", "adaptive", "fastgen", "heavy-hitter", "sink(2) | top(-keyNorm, 30%)"])(
  "a session with %s",
  (policy) => {
    test("goes on from its file as it would have gone on", async () => {
      using session = await begun(policy);
      await saveSession(session, model, file, { note: "kept" });
      const { session: restored, extra } = await restoreSession(model, file);
      using other = restored;
      expect(extra).toEqual({ note: "kept" });
      expect(other.tokens).toEqual(session.tokens);
      expect(other.sequence.report().bytes).toBe(session.sequence.report().bytes);
      const options = { maxTokens: 12, ignoreEos: true };
      const expected = await session.generate([QUESTION], options).report();
      const found = await other.generate([QUESTION], options).report();
      expect(found.tokens).toEqual(expected.tokens);
      expect(found.kv.slots).toEqual(expected.kv.slots);
      expect(found.kv.plan).toEqual(expected.kv.plan);
      const logits = await model.engine.backend.download(session.sequence.logits);
      expect(await model.engine.backend.download(other.sequence.logits)).toEqual(logits);
    });
  },
);

test("an interrupted session is saved by its tokens, and rebuilt from them", async () => {
  using session = model.createSession({ policy: "full" });
  const abort = new AbortController();
  for await (const event of session.generate([textPart(model.tokenizer, TEXT, true)], {
    signal: abort.signal,
    ignoreEos: true,
  })) {
    if (event.kind === "token") abort.abort();
  }
  await saveSession(session, model, file);
  const { session: restored } = await restoreSession(model, file);
  using other = restored;
  expect(other.tokens).toEqual(session.tokens);
  const expected = await session.generate([QUESTION], { maxTokens: 4, ignoreEos: true }).report();
  expect((await other.generate([QUESTION], { maxTokens: 4, ignoreEos: true }).report()).tokens).toEqual(
    expected.tokens,
  );
});

test("damaged files are refused by name, and leave nothing behind", async () => {
  using session = await begun("fastgen");
  await saveSession(session, model, file);
  const whole = readFileSync(file);
  const before = model.engine.store.livePages;
  const damaged = join(folder, "damaged");
  for (let i = 0; i < 150; i++) {
    const bytes = new Uint8Array(whole);
    const header = 4096;
    const at = randomWord(1, i, 0) % Math.min(header, bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 + (randomWord(1, i, 1) % 255));
    writeFileSync(damaged, i % 3 === 0 ? bytes.subarray(0, randomWord(2, i, 0) % bytes.length) : bytes);
    try {
      const { session: restored } = await restoreSession(model, damaged);
      restored[Symbol.dispose]();
    } catch (error) {
      expect(error).toBeInstanceOf(WinnowError);
      expect(error).toMatchObject({ message: expect.not.stringContaining("\n") as string });
    }
    expect(model.engine.store.livePages).toBe(before);
  }
});

test("a pipe is refused, instead of waited for", { skip: process.platform === "win32" }, async () => {
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  await expect(restoreSession(model, pipe)).rejects.toMatchObject({
    code: "file",
    message: `${pipe}: not a regular file; name one that was saved`,
  });
});

test("a file of another model is refused", async () => {
  using session = await begun("full");
  await saveSession(session, model, file);
  using tiny = await loadModel(join(import.meta.dirname, "../../../../goldens/tiny-model"));
  await expect(restoreSession(tiny, file)).rejects.toThrow(/another model: its layers is 4/);
});

test("a file that cannot be written says so, and what was there stays", async () => {
  using session = await begun("full");
  await expect(saveSession(session, model, join(folder, "no/such/folder"))).rejects.toMatchObject({ code: "file" });
});
