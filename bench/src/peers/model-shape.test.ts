import { expect, test } from "vitest";

import { MODELS } from "./models";
import { weightElements } from "./model-shape";

test("weights are as many as the models' files have", () => {
  expect(weightElements(MODELS["135m q8_0"].shape)).toBe(134_515_008);
  expect(weightElements(MODELS["demo f16"].shape)).toBe(2_693_376);
  expect(weightElements(MODELS["1b f16"].shape)).toBe(1_235_814_400);
  expect(weightElements(MODELS["8b q4_k"].shape)).toBe(8_030_261_248);
});
