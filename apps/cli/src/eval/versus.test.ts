import { PolicyRegistry } from "@winnow/kv-policies";
import { expect, test } from "vitest";

import { limits } from "../options/numbers";
import { cellsOf } from "./cells";
import type { Outcome } from "./every-cell";
import { versusText } from "./report/versus-text";
import type { AnsweredSample } from "./results";
import { holm } from "./statistics/holm";
import { pairedDifference } from "./statistics/paired";
import { versusOf } from "./versus";

const outcome = (score: number): Outcome => ({
  ...{ score, kl: 0, agreement: 1, slots: 1, bytes: 1, fullBytes: 1, allocatedBytes: 1 },
  shares: [],
});

/** Samples whose scores are given by cell. */
const samplesOf = (byCell: readonly (readonly number[])[]): AnsweredSample[] =>
  (byCell[0] ?? []).map((_, sample) => ({
    asked: { sample, question: "", answer: "" },
    outcomes: byCell.map((scores) => outcome(scores[sample] ?? NaN)),
  }));

const cells = cellsOf("adaptive,snapkv,sink(4)", limits("50%,25%"), new PolicyRegistry());
const ones = Array<number>(20).fill(1);
const zeros = Array<number>(20).fill(0);
const mixed = ones.map((_, i) => (i < 15 ? 1 : 0));

test("a policy is compared with each that is held to the same, example by example", () => {
  // full, adaptive at 50 and 25 %, snapkv at 50 and 25 %, sink(4).
  const answered = samplesOf([ones, mixed, ones, ones, zeros, zeros]);
  const versus = versusOf("adaptive", [{ name: "needle" }], cells, [answered]);
  const raw = [pairedDifference(mixed, ones), pairedDifference(ones, zeros)];
  const corrected = holm(raw.map(({ p }) => p));
  expect(versus?.comparisons.map(({ other, target, difference, p }) => ({ other, target, difference, p }))).toEqual([
    { other: "snapkv", target: 0.5, difference: -0.25, p: corrected[0] },
    { other: "snapkv", target: 0.25, difference: 1, p: corrected[1] },
  ]);
  if (versus === null) throw new Error("nothing was compared");
  const text = versusText(versus);
  expect(text).toContain("2 comparisons");
  expect(text).toContain("above in 1, below in 0");
  expect(text).toContain("snapkv in needle at 50 %: -25.0");
});

test("what is significantly better is named", () => {
  const versus = versusOf("adaptive", [{ name: "keys" }], cells, [samplesOf([ones, zeros, ones, ones, ones, ones])]);
  if (versus === null) throw new Error("nothing was compared");
  expect(versusText(versus)).toContain("below snapkv in keys at 50 %: -100.0");
});

test("there is nothing to say of a policy that was not asked for, or stands alone", () => {
  const answered = [samplesOf([ones])];
  expect(versusOf("kvzip", [{ name: "needle" }], cells, answered)).toBeNull();
  const alone = cellsOf("adaptive", limits("50%"), new PolicyRegistry());
  expect(versusOf("adaptive", [{ name: "needle" }], alone, answered)).toBeNull();
});
