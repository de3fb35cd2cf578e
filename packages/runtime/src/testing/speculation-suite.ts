import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { HeadCopy } from "../cache/head-copy";
import type { GenerationEvent } from "../generate/decode";
import type { Drafting } from "../generate/draft-finder";
import type { SpeculationCounts } from "../generate/speculation";
import type { FinishReason, KvReport } from "../generate/report";
import type { Model } from "../model";
import { resolveSession } from "../session/resolve-policy";
import { Session, type GenerateOptions } from "../session/session";
import type { SessionOptions } from "../session/session-options";
import { cacheContents, newestLogits } from "./cache-contents";
import { GUESSES, guessing } from "./draft-finders";

/** Policies that go by everything that is stored, computed, or neither. */
const POLICIES = [
  "full",
  "adaptive",
  "fastgen",
  "heavy-hitter",
  "sink+recent",
  "scissorhands",
  "tova",
  "r-kv",
  "top(keyNorm, 40%)",
  "top(maxWeight, 40%) | recent(3)",
  "sink(2) | top(windowMass, 30%)",
] as const;

/** Two answers of one session, and how they are drawn. */
interface Conversation {
  readonly session: SessionOptions;
  readonly prompts: readonly (readonly number[])[];
  readonly options: GenerateOptions;
}

/** All that there is to see of an answer, but for how long it took. */
interface Answer {
  readonly tokens: readonly number[];
  readonly finishReason: FinishReason;
  readonly events: readonly GenerationEvent[];
  readonly kv: Omit<KvReport, "peakBytes">;
  readonly contents: readonly (readonly HeadCopy[])[];
  readonly logits: Float32Array | Uint32Array;
}

interface Answered {
  readonly answers: readonly Answer[];
  readonly tokens: readonly number[];
  readonly speculation: readonly (SpeculationCounts | null)[];
  /** The most bytes of the cache after each answer. */
  readonly peaks: readonly number[];
}

export async function answered(model: Model, asked: Conversation, drafting: Drafting | null): Promise<Answered> {
  using session = new Session(model, { ...resolveSession(asked.session, model), drafting });
  const answers: Answer[] = [];
  const speculation: (SpeculationCounts | null)[] = [];
  const peaks: number[] = [];
  for (const ids of asked.prompts) {
    const generation = session.generate([{ ids, probe: null }], asked.options);
    const events: GenerationEvent[] = [];
    for await (const event of generation) events.push(event);
    const report = await generation.report();
    const { tokens, finishReason } = report;
    // At its peak a cache has the slots of guesses too.
    const { peakBytes, ...kv } = report.kv;
    speculation.push(report.speculation);
    peaks.push(peakBytes);
    const contents = await cacheContents(model, session);
    // What a step left that was taken back as a whole is nobody's: the next row writes over it.
    const stored = finishReason === "stop" ? contents.map((heads) => heads.map(withoutWaiting)) : contents;
    answers.push({ tokens, finishReason, events, kv, contents: stored, logits: await newestLogits(model, session) });
  }
  return { answers, tokens: [...session.tokens], speculation, peaks };
}

function withoutWaiting({ keys, values, columns }: HeadCopy): HeadCopy {
  const { lastMass: _, lastMaxWeight: __, ...others } = columns;
  return { keys, values, columns: others };
}

export interface Speculating {
  readonly load: () => Promise<Model>;
  /** Prompts are beginnings of these; they repeat themselves. */
  readonly ids: readonly number[];
  readonly policies?: readonly string[];
  readonly session?: SessionOptions;
  readonly runs: number;
}

/** What holds of guesses on any backend whose rows do not depend on how many are read together. */
export function speculationSuite(name: string, { load, ids, policies = POLICIES, session, runs }: Speculating): void {
  describe(`answers with guessed tokens, ${name}`, () => {
    let model: Model;

    beforeAll(async () => {
      vi.spyOn(process, "emitWarning").mockReturnValue();
      model = await load();
    });

    afterAll(() => {
      model[Symbol.dispose]();
      vi.restoreAllMocks();
    });

    const conversations = (policy: string): fc.Arbitrary<Conversation> =>
      fc.record({
        session: fc.constantFrom(1, 3, 5, 16).map((interval) => ({ policy, ...session, interval })),
        prompts: fc.tuple(
          fc.integer({ min: 1, max: ids.length }).map((count) => ids.slice(0, count)),
          fc.integer({ min: 1, max: 9 }).map((count) => ids.slice(-count)),
        ),
        options: fc.record({
          maxTokens: fc.oneof(fc.constant(40), fc.integer({ min: 1, max: 40 })),
          temperature: fc.constantFrom(0, 0.7, 1.3),
          topP: fc.constantFrom(1, 0.9),
          repetitionPenalty: fc.constantFrom(1, 1.3),
          seed: fc.nat(1000),
          topTokens: fc.constantFrom(0, 2),
          ignoreEos: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
          stop: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.constantFrom(["e"], ["xq", "ar"])),
        }),
      });

    test.each(policies)("with %s, are to the bit what they are without", async (policy) => {
      const accepted = new Map<string, number>();
      const check = async (asked: Conversation, most: number): Promise<void> => {
        const usual = await answered(model, asked, null);
        expect(usual.speculation).toEqual([null, null]);
        for (const how of GUESSES) {
          const drafting = guessing(how, most, usual.tokens, model.config.vocabulary);
          const { answers, tokens, speculation, peaks } = await answered(model, asked, drafting);
          expect(answers, how).toEqual(usual.answers);
          peaks.forEach((peak, i) => {
            expect(peak).toBeGreaterThanOrEqual(usual.peaks[i] ?? Infinity);
          });
          expect(tokens).toEqual(usual.tokens);
          for (const [i, answer] of answers.entries()) {
            const counts = speculation[i];
            if (counts == null) throw new TypeError("an answer with guesses has no counts of them");
            expect(counts.steps + counts.accepted).toBe(answer.tokens.length);
            if (how === "seer" && answer.finishReason === "length") expect(counts.accepted).toBe(counts.drafted);
            else expect(counts.accepted).toBeLessThanOrEqual(counts.drafted);
            // Who guesses badly soon guesses one token at a time.
            if (how === "garbage") {
              expect(counts.drafted).toBeLessThanOrEqual(most + counts.steps + 2 * counts.accepted);
            }
            // The penalty of what is behind it took the first for what it is not.
            if (how === "lateSeer" && asked.options.repetitionPenalty !== 1) expect(counts.accepted).toBe(0);
            accepted.set(how, (accepted.get(how) ?? 0) + counts.accepted);
          }
        }
        expect(model.engine.store.livePages).toBe(0);
        expect(model.engine.backend.memory.snapshot()).toMatchObject({ kv: 0, activations: 0 });
      };
      const property = fc.asyncProperty(conversations(policy), fc.constantFrom(1, 2, 4, 7), check);
      // Two that are long whatever the others are; and cases of its own for each policy, the same every time.
      const long = (interval: number, options: GenerateOptions): Conversation => ({
        session: { policy, ...session, interval },
        prompts: [ids.slice(0, 40), ids.slice(-5)],
        options: { maxTokens: 36, ignoreEos: true, repetitionPenalty: 1, ...options },
      });
      const examples: [Conversation, number][] = [
        [long(5, { temperature: 0, repetitionPenalty: 1.3 }), 7],
        [long(16, { temperature: 0.9, topTokens: 2, seed: 3 }), 4],
      ];
      await fc.assert(property, { numRuns: runs, seed: policies.indexOf(policy), examples });
      // Else nothing was tested.
      for (const how of ["prophet", "seer", "lateSeer"]) expect(accepted.get(how), how).toBeGreaterThan(30);
    });
  });
}
