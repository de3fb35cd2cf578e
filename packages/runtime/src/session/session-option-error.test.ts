import { WinnowError } from "@winnow/core-tensor";
import type { HeadPlan } from "@winnow/profiler";
import { afterAll, beforeAll, expect, test } from "vitest";

import { loadModel, type Model } from "../model";
import { TINY } from "../testing/models";
import { SessionOptionError } from "./session-option-error";
import type { SessionOptions } from "./session-options";

let model: Model;
let plan: HeadPlan;

beforeAll(async () => {
  model = await loadModel(TINY);
  plan = {
    format: "winnow-head-plan",
    version: 1,
    model: model.fingerprint,
    policy: "fastgen",
    recovery: null,
    rows: "prompt",
    generated: "sweep",
    heads: [],
  };
});

afterAll(() => {
  model[Symbol.dispose]();
});

test.each<[option: keyof SessionOptions, options: () => SessionOptions]>([
  ["interval", () => ({ interval: 0 })],
  ["recovery", () => ({ recovery: 1.5 })],
  ["recovery", () => ({ policy: "full", recovery: 0.9 })],
  ["recovery", () => ({ target: 0.5, recovery: 0.9 })],
  ["recovery", () => ({ plan, recovery: 0.9 })],
  ["target", () => ({ target: 0 })],
  ["target", () => ({ policy: "full", target: 0.5 })],
  ["target", () => ({ plan, target: 0.5 })],
  ["policy", () => ({ plan, policy: "full" })],
  ["drift", () => ({ plan, drift: "upgrade" })],
  ["drift", () => ({ policy: "adaptive", drift: "upgrade" })],
])("the %s at fault is named (%#)", (option, options) => {
  const asked = options();
  expect(() => model.createSession(asked)).toThrow(SessionOptionError);
  expect(() => model.createSession(asked)).toThrow(WinnowError);
  expect(() => model.createSession(asked)).toThrow(expect.objectContaining({ code: "usage", option }));
});
