import { readFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";

import { replayChunks } from "../cache/probe";
import { Tokenizer } from "../tokenizer";
import { loadTokenizer } from "../tokenizer/load-tokenizer";
import { DEMO, TINY } from "../testing/models";
import { idsPart, textPart, turnParts, withProbe } from "./parts";

const tokenizers = [await loadTokenizer(DEMO), await loadTokenizer(TINY)];

/** The demo model's tokenizer, had it been made to put <s> before each text. */
const beginning = new Tokenizer({
  ...z.looseObject({}).parse(JSON.parse(readFileSync(join(DEMO, "tokenizer.json"), "utf8"))),
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] } },
  },
});

const OVERLAP = 8;
const id = fc.nat(999);
const lengths = fc.record({ request: fc.nat(60), subject: fc.nat(2000), room: fc.integer({ min: -20, max: 600 }) });

/** Ids that are all different, so that a piece has one place. */
const count = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);

describe("the chunks of a replay", () => {
  it("give the text back, each beginning with the request and the end of the one before", () => {
    fc.assert(
      fc.property(lengths, ({ request: asked, subject: length, room }) => {
        const request = count(asked, 10_000);
        const subject = count(length);
        const chunks = replayChunks(request, subject, room);
        const joined: number[] = [];
        for (const chunk of chunks) {
          expect(chunk.length).toBeLessThanOrEqual(room);
          expect(chunk.slice(0, asked)).toEqual(request);
          const piece = chunk.slice(asked);
          const again = Math.min(OVERLAP, joined.length);
          expect(piece.slice(0, again)).toEqual(joined.slice(joined.length - again));
          expect(piece.length).toBeGreaterThan(again);
          joined.push(...piece.slice(again));
        }
        expect(joined).toEqual(chunks.length === 0 ? [] : subject);
      }),
      { numRuns: 1000 },
    );
  });

  it("are one where the text fits, and none where there is nothing to replay", () => {
    fc.assert(
      fc.property(
        fc.array(id, { maxLength: 40 }),
        fc.array(id, { minLength: 1, maxLength: 90 }),
        (request, subject) => {
          const whole = [...request, ...subject];
          expect(replayChunks(request, subject, whole.length)).toEqual([whole]);
          expect(replayChunks(request, subject, whole.length + 1)).toEqual([whole]);
          expect(replayChunks(request, [], 512)).toEqual([]);
          expect(replayChunks(request, subject, 0)).toEqual([]);
        },
      ),
    );
  });

  it("are none where most rows would say again what was said", () => {
    const subject = count(2000);
    expect(replayChunks(count(10), subject, 10 + OVERLAP + 31)).toEqual([]);
    expect(replayChunks(count(10), subject, 10 + OVERLAP + 32)).not.toEqual([]);
    expect(replayChunks(count(60), subject, 2 * (60 + OVERLAP) - 1)).toEqual([]);
    expect(replayChunks(count(60), subject, 2 * (60 + OVERLAP))).not.toEqual([]);
  });

  it("are as few as the room allows", () => {
    fc.assert(
      fc.property(lengths, ({ request: asked, subject: length, room }) => {
        const chunks = replayChunks(count(asked, 10_000), count(length), room);
        fc.pre(chunks.length > 1);
        for (const chunk of chunks.slice(0, -1)) expect(chunk).toHaveLength(room);
      }),
    );
  });
});

describe("parts of a prompt", () => {
  const text = fc.string({ minLength: 1, unit: fc.constantFrom("a", "The ", "key", ".", "\n\n", "é", " 31", "😀") });

  it("are a raw text's ids, with what begins a text only at the beginning", () => {
    for (const tokenizer of [...tokenizers, beginning]) {
      fc.assert(
        fc.property(text, (raw) => {
          const first = textPart(tokenizer, raw, true);
          const later = textPart(tokenizer, raw, false);
          expect(first.ids).toEqual(tokenizer === beginning ? [0, ...later.ids] : later.ids);
          expect(tokenizer.decode(later.ids)).toBe(raw);
          expect(first.probe).toEqual(later.probe);
          expect(later.probe).toMatchObject({ kind: "replay", subject: later.ids });
        }),
        { numRuns: 30 },
      );
    }
  });

  it("are ids as they are, which a probe replays", () => {
    for (const tokenizer of tokenizers) {
      const part = idsPart(tokenizer, [0, 4, 290]);
      expect(part.ids).toEqual([0, 4, 290]);
      if (part.probe?.kind !== "replay") throw new Error("ids are replayed");
      expect(part.probe.subject).toEqual([0, 4, 290]);
      expect(tokenizer.decode(part.probe.request)).toBe("\n\nRepeat the text.\n\n");
    }
  });

  it("are a turn's texts: the first replays the message, each other itself", () => {
    for (const tokenizer of tokenizers) {
      fc.assert(
        fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), text, text, (segments, subject, request) => {
          const parts = turnParts(tokenizer, { system: null, segments, subject, request });
          expect(parts.map(({ ids }) => tokenizer.decode(ids))).toEqual(segments);
          const probes = parts.map(({ probe }) => (probe?.kind === "replay" ? probe : null));
          expect(probes.map((probe) => tokenizer.decode(probe?.request ?? []))).toEqual(segments.map(() => request));
          expect(probes.map((probe) => tokenizer.decode(probe?.subject ?? []))).toEqual([
            subject,
            ...segments.slice(1),
          ]);
        }),
        { numRuns: 30 },
      );
    }
  });

  it("take special tokens that a turn's text spells out as such", () => {
    for (const tokenizer of tokenizers) {
      const segments = ["<s><|user|>a<|end|>"];
      const [part] = turnParts(tokenizer, { system: null, segments, subject: "a", request: "b" });
      expect(part?.ids.filter((token) => tokenizer.specialIds.has(token))).toEqual(
        ["<s>", "<|user|>", "<|end|>"].map((token) => tokenizer.idOf(token)),
      );
    }
  });

  it("have a part for a system message that is long enough for others to share", () => {
    for (const tokenizer of tokenizers) {
      const turn = { segments: [" Go on."], subject: "on", request: "again" };
      const word = tokenizer.encode(" and", { addSpecial: false }).length;
      for (const words of [1, Math.ceil(256 / word) - 1, Math.ceil(256 / word), 400]) {
        const subject = " and".repeat(words);
        const parts = turnParts(tokenizer, { system: { text: subject, subject, request: "repeat" }, ...turn });
        const isLong = words * word >= 256;
        expect(parts.map(({ shared = false }) => shared)).toEqual(isLong ? [true, false] : [false]);
        expect(tokenizer.decode(parts.flatMap(({ ids }) => ids))).toBe(`${subject} Go on.`);
        const probed = parts.map(({ probe }) => (probe?.kind === "replay" ? tokenizer.decode(probe.subject) : null));
        expect(probed).toEqual(isLong ? [subject, "on"] : [`${subject}\n\non`]);
      }
    }
  });

  it("may be given a probe of their own, which stands for the first's", () => {
    fc.assert(
      fc.property(fc.array(fc.array(id)), fc.array(id), (all, probe) => {
        const parts = all.map((ids) => ({ ids, probe: null }));
        const probed = withProbe(parts, probe);
        expect(probed.map(({ ids }) => ids)).toEqual(all);
        expect(probed.map((part) => part.probe)).toEqual(
          all.map((_, i) => (i === 0 ? { kind: "ids", ids: probe } : null)),
        );
        expect(parts).toEqual(all.map((ids) => ({ ids, probe: null })));
      }),
    );
  });
});
