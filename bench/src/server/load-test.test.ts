import { expect, test } from "vitest";

import { testUnderLoad } from "./load-test";
import { loadProgram } from "./server-benchmark";
import { FakeServer, type Fault } from "./testing/fake-server";
import { judge, type Check } from "./verdict";

/** A machine that is busy with other tests may be late. */
const isTimed = ({ name }: Check): boolean => name.startsWith("/health answers");

test("the program passes a short one", { timeout: 120_000 }, async () => {
  const { checks, result } = await loadProgram("cpu", { seconds: 2, clients: 12, questions: 4 });
  const failed = checks.filter((check) => !check.passed && !isTimed(check));
  expect({ failed, examples: result.examples }).toEqual({ failed: [], examples: [] });
  expect(result.counts.right).toBeGreaterThan(0);
  expect(result.counts.left).toBeGreaterThan(0);
  expect(result.hostile.length).toBeGreaterThan(0);
});

const QUESTIONS = 6;

test.each<[Fault, readonly string[]]>([
  ["none", []],
  ["mixes answers up", ["no answer is another's", "every answer is as it was of the idle server"]],
  ["breaks streams off", ["no answer is lost"]],
  ["keeps bytes", ["nothing is kept but shared beginnings", "without them, every byte is given back"]],
  [
    "exceeds the budget",
    [
      "caches stay within the budget",
      "nothing is kept but shared beginnings",
      "without them, every byte is given back",
    ],
  ],
])("of a server that %s, it finds: %j", async (fault, found) => {
  await using server = await FakeServer.start(fault, QUESTIONS);
  // The first two clients check their answers and go away amid them.
  const result = await testUnderLoad(server.url, { seconds: 0.3, clients: 5, questions: QUESTIONS });
  const checks = judge(result, { exitCode: 0, log: "" }).filter((check) => !isTimed(check));
  expect(checks.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual(found);
});

test("an ending with an error, and what the log warns of, are told", async () => {
  await using server = await FakeServer.start("none", QUESTIONS);
  const result = await testUnderLoad(server.url, { seconds: 0.1, clients: 1, questions: QUESTIONS });
  const failed = judge(result, { exitCode: 1, log: "a warning" }).filter((check) => !check.passed && !isTimed(check));
  expect(failed.map(({ name }) => name)).toEqual(["the process ends with 0 after SIGTERM", "it has warned of nothing"]);
});

test("no machine but this one is ever put under load", async () => {
  await expect(testUnderLoad("http://192.0.2.1", { seconds: 1, clients: 1, questions: 1 })).rejects.toMatchObject({
    code: "usage",
  });
});
