import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { DriftOption } from "../cache/drift";
import type { Model } from "../model";
import type { GenerateOptions, Session } from "../session/session";
import { LONG_IDS, POLICIES } from "./session-uses";

/** An answer of its own length, policy and way to draw. */
interface Answer {
  readonly policy: string;
  readonly interval: number;
  readonly drift: DriftOption;
  readonly prompt: readonly number[];
  readonly options: GenerateOptions;
}

const POLICIES_OF_ANSWERS = [...POLICIES, "sink(2) | recent(12)", "frequent(30%)", "top(keyNorm, 40%)"];

/** More than a GPU reads in one product, so that some form a second one. */
const ANSWERS: readonly Answer[] = Array.from({ length: 11 }, (_, i) => ({
  policy: POLICIES_OF_ANSWERS[i % POLICIES_OF_ANSWERS.length] ?? "full",
  interval: 1 + (i % 5),
  drift: i === 9 ? "upgrade" : "ignore",
  prompt: LONG_IDS.slice(50 * i, 50 * i + 5 + 11 * i),
  options: {
    maxTokens: 4 + ((7 * i) % 20),
    temperature: i % 3 === 0 ? 0 : 0.9,
    repetitionPenalty: i % 4 === 1 ? 1.2 : 1,
    seed: i,
    ignoreEos: true,
  },
}));

interface Outcome {
  readonly tokens: readonly number[];
  /** Behind the newest token that was read. */
  readonly logits: readonly number[];
  readonly slots: readonly (readonly number[])[];
}

/** What holds of answers that are written at the same time, on any backend. */
export function batchingSuite(name: string, load: () => Promise<Model>): void {
  describe(`answers at the same time, ${name}`, () => {
    let model: Model;
    let alone: Outcome[];

    beforeAll(async () => {
      model = await load();
      alone = [];
      for (const answer of ANSWERS) {
        using session = open(answer);
        alone.push(await write(session, answer));
      }
    });

    afterAll(() => {
      model[Symbol.dispose]();
    });

    const open = ({ policy, interval, drift }: Answer): Session => model.createSession({ policy, interval, drift });

    const write = async (session: Session, { prompt, options }: Answer): Promise<Outcome> => {
      const part = { ids: prompt, probe: null };
      const { tokens } = await session.generate([part], options).report();
      const logits = [...(await model.engine.backend.download(session.sequence.logits))];
      return { tokens, logits, slots: session.sequence.report().slots };
    };

    const numbered = (numbers: readonly number[]) =>
      numbers.map((number) => ({ answer: ANSWERS[number] ?? fail(number), expected: alone[number] }));

    const fail = (number: number): never => {
      throw new RangeError(`there is no answer ${number}`);
    };

    test.each([
      ["two", [3, 8]],
      ["eight", [0, 1, 2, 3, 4, 5, 6, 7]],
      ["more than a GPU's product takes", ANSWERS.map((_, i) => i)],
      ["more than any product takes", Array.from({ length: 36 }, (_, i) => i % ANSWERS.length)],
    ])("%s of them, are to the bit what each is alone", async (_, numbers) => {
      const some = numbered(numbers);
      const found = await Promise.all(
        some.map(async ({ answer }) => {
          using session = open(answer);
          return await write(session, answer);
        }),
      );
      expect(found).toEqual(some.map(({ expected }) => expected));
    });

    test("come and go as they like", async () => {
      const some = numbered([0, 4, 9, 2, 7]);
      const running: Promise<Outcome>[] = [];
      const begin = (number: number): void => {
        const next = some[number];
        if (next === undefined) return;
        const { answer } = next;
        running.push(
          (async () => {
            using session = open(answer);
            let drawn = 0;
            const generation = session.generate([{ ids: answer.prompt, probe: null }], answer.options);
            for await (const { kind } of generation) if (kind === "token" && ++drawn === 3) begin(number + 1);
            const { tokens } = await generation.report();
            const logits = [...(await model.engine.backend.download(session.sequence.logits))];
            return { tokens, logits, slots: session.sequence.report().slots };
          })(),
        );
      };
      begin(0);
      for (let i = 0; i < some.length; i++) await running[i];
      expect(await Promise.all(running)).toEqual(some.map(({ expected }) => expected));
    });

    test("are not disturbed by one that is slow, left, aborted or closed", async () => {
      const [kept, ...others] = numbered([7, 1, 2, 3, 5]);
      const [slow, left, aborted, closed] = others.map(({ answer }) => answer);
      if (kept === undefined || !slow || !left || !aborted || !closed) throw new RangeError("five answers are needed");
      const events = (session: Session, { prompt, options }: Answer, more: GenerateOptions = {}) =>
        session.generate([{ ids: prompt, probe: null }], { ...options, maxTokens: 40, ...more });
      const disturb = {
        slow: async () => {
          using session = open(slow);
          let drawn = 0;
          for await (const _ of events(session, slow)) {
            await new Promise((resolve) => setTimeout(resolve, 5));
            if (++drawn === 8) break;
          }
        },
        left: async () => {
          using session = open(left);
          let drawn = 0;
          for await (const _ of events(session, left)) if (++drawn === 3) break;
        },
        aborted: async () => {
          using session = open(aborted);
          const abort = new AbortController();
          let drawn = 0;
          for await (const _ of events(session, aborted, { signal: abort.signal })) if (++drawn === 4) abort.abort();
        },
        closed: async () => {
          const session = open(closed);
          const answer = async (): Promise<void> => {
            for await (const _ of events(session, closed)) session[Symbol.dispose]();
          };
          await expect(answer()).rejects.toMatchObject({ code: "disposed" });
        },
      };
      const writing = (async () => {
        using session = open(kept.answer);
        return await write(session, kept.answer);
      })();
      await Promise.all([...Object.values(disturb).map((act) => act()), writing]);
      expect(await writing).toEqual(kept.expected);
    });
  });
}
