import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { TokenClass, TokenClasses } from "@winnow/kv-policies";
import { describe, expect, it } from "vitest";

import { DEMO } from "../testing/models";
import { sentencePieceJson } from "./testing/sentence-piece";
import { Tokenizer } from "./tokenizer";

const VOCABULARIES: Readonly<Record<string, () => Promise<object>>> = {
  "byte-level pairs": async () => JSON.parse(await readFile(join(DEMO, "tokenizer.json"), "utf8")) as object,
  "SentencePiece's pairs": () => Promise.resolve(sentencePieceJson()),
};

describe.each(Object.entries(VOCABULARIES))("the classes of %s", (_, read) => {
  it("are those of what each token stands for in a text", async () => {
    const tokenizer = new Tokenizer(await read());
    const classes = new TokenClasses(tokenizer.vocabulary());
    const ids = Array.from({ length: tokenizer.size }, (__, id) => id);
    const flags = classes.flagsOf(ids);
    const letter = ids.find((id) => tokenizer.decode([id]) === "a") ?? NaN;
    let punctuation = 0;
    for (const id of ids) {
      const isSpecial = tokenizer.specialIds.has(id);
      // Between letters, where no space is taken off.
      const text = tokenizer.decode([letter, id, letter]).slice(1, -1);
      const isPunctuation = !isSpecial && /^[\p{P}\p{S}]+$/u.test(text.trim()) && !text.includes("\ufffd");
      if (isPunctuation) punctuation++;
      const found = flags[id] ?? 0;
      expect((found & TokenClass.special) !== 0, `${id}: ${JSON.stringify(text)}`).toBe(isSpecial);
      expect((found & TokenClass.punctuation) !== 0, `${id}: ${JSON.stringify(text)}`).toBe(isPunctuation);
    }
    expect(punctuation).toBeGreaterThan(0);
    expect(tokenizer.specialIds.size).toBeGreaterThan(0);
  });
});
