import { afterAll, beforeAll, expect, test } from "vitest";

import type { Backend } from "@winnow/core-tensor";

import type { HeadState } from "../cache/sequence";
import type { GenerationReport } from "../generate/report";
import { loadModel, type Model } from "../model";
import { idsPart, withProbe } from "../prompt/parts";
import { TOLERANCE, firstTossUp, readGoldens, type Golden } from "./goldens";
import { DEMO, TINY } from "./models";

interface Run {
  readonly report: GenerationReport;
  readonly heads: readonly (readonly HeadState[])[];
  readonly logits: Float32Array | Uint32Array;
}

async function run(
  model: Model,
  golden: Golden,
  policy: string,
  recovery?: number,
  probe?: readonly number[],
): Promise<Run> {
  using session = model.createSession({ policy, recovery, interval: 1 });
  const parts = [idsPart(model.tokenizer, golden.ids)];
  let logits: Run["logits"] = new Float32Array(0);
  const generation = session.generate(probe === undefined ? parts : withProbe(parts, probe), {
    maxTokens: golden.greedy.length,
    ignoreEos: true,
    temperature: 0,
    onPromptRead: async () => {
      logits = await model.engine.backend.download(session.sequence.logits, 0, golden.logits.length);
    },
  });
  return { report: await generation.report(), heads: session.sequence.heads, logits };
}

/** Compare what each head measured, chose and kept; returns how many heads an exception excused. */
function expectHeads(
  run: Run,
  golden: {
    recovery: number;
    recoveries: number[][][];
    gaps: number[][][] | null;
    chosen: number[][];
    kept: number[][];
    edge: number[][];
  },
): { heads: number; excused: number } {
  let heads = 0;
  let excused = 0;
  run.heads.forEach((layer, l) => {
    layer.forEach((head, h) => {
      heads++;
      const expected = golden.recoveries[l]?.[h] ?? [];
      expect(head.measured).toHaveLength(expected.length);
      expected.forEach((recovery, i) => {
        if ((golden.gaps?.[l]?.[h]?.[i] ?? 1) < TOLERANCE.gap) return;
        expect(Math.abs((head.measured[i]?.recovery ?? NaN) - recovery)).toBeLessThan(TOLERANCE.recovery);
      });
      const nearThreshold = expected.some((recovery) => Math.abs(recovery - golden.recovery) < TOLERANCE.recovery);
      const tossUp = (golden.edge[l]?.[h] ?? 1) < TOLERANCE.gap;
      if (nearThreshold || tossUp) excused++;
      if (!nearThreshold) expect(head.candidate).toBe(golden.chosen[l]?.[h]);
      if (!nearThreshold && !tossUp) expect(head.kept).toBe(golden.kept[l]?.[h]);
    });
  });
  return { heads, excused };
}

/**
 * The tests that every backend has to pass: logits, recoveries, plans, kept slots and greedy tokens of the oracle's prompts.
 *
 * @param openBackend called once a model, which disposes of it.
 */
export function goldenSuite(name: "demo" | "tiny", openBackend: () => Backend | Promise<Backend>): void {
  const goldens = readGoldens(name);
  const total = { heads: 0, excused: 0 };
  let model: Model;

  const count = ({ heads, excused }: { heads: number; excused: number }): void => {
    total.heads += heads;
    total.excused += excused;
  };

  beforeAll(async () => {
    model = await loadModel({ demo: DEMO, tiny: TINY }[name], { backend: await openBackend(), kvType: "f32" });
  });

  afterAll(() => {
    model[Symbol.dispose]();
  });

  test.each(goldens.map((golden, i) => ({ golden, i, n: golden.ids.length, T: golden.recovery })))(
    "prompt $i, $n tokens at T = $T",
    async ({ golden }) => {
      const full = await run(model, golden, "full");
      golden.logits.forEach((logit, i) => {
        expect(Math.abs((full.logits[i] ?? NaN) - logit)).toBeLessThan(
          TOLERANCE.logits * Math.abs(golden.largest_logit),
        );
      });
      const clear = firstTossUp(golden.greedy_gap);
      expect(clear).toBeGreaterThan(0);
      expect(full.report.tokens.slice(0, clear)).toEqual(golden.greedy.slice(0, clear));

      const fastgen = await run(model, golden, "fastgen", golden.recovery);
      count(
        expectHeads(fastgen, {
          recovery: golden.recovery,
          recoveries: golden.recovery_by_candidate,
          gaps: golden.frequent_gap.map((layer) => layer.map((gap) => [1, 1, gap, gap, 1])),
          chosen: golden.plan,
          kept: golden.kept,
          edge: golden.frequent_gap,
        }),
      );
      const clearCut = firstTossUp(golden.compressed_gap, golden.compressed_frequent_gap);
      expect(fastgen.report.tokens.slice(0, clearCut)).toEqual(golden.compressed.slice(0, clearCut));

      const { probed } = golden;
      if (probed === null) return;
      const adaptive = await run(model, golden, "adaptive", golden.recovery, probed.probe);
      count(
        expectHeads(adaptive, {
          recovery: golden.recovery,
          recoveries: probed.ladder_recovery,
          gaps: probed.ladder_gaps,
          chosen: probed.ladder_rung,
          kept: probed.ladder_kept,
          edge: probed.ladder_gap,
        }),
      );
      const clearAdaptive = firstTossUp(probed.adaptive_gap);
      const cutIsClear = probed.ladder_gap.flat().every((gap) => gap >= TOLERANCE.gap);
      if (cutIsClear)
        expect(adaptive.report.tokens.slice(0, clearAdaptive)).toEqual(probed.adaptive.slice(0, clearAdaptive));
    },
  );

  test("hardly any head is excused", () => {
    expect(total.heads).toBeGreaterThan(0);
    expect(total.excused).toBeLessThanOrEqual(0.05 * total.heads);
  });
}
