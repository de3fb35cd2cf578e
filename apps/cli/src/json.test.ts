import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";
import { z } from "zod";

import { DEMO, winnow } from "./testing/winnow";

const folder = mkdtempSync(join(tmpdir(), "winnow-cli-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const matrix = <T extends z.ZodType>(cell: T) => z.array(z.array(cell).length(4)).length(4);
const share = z.number().min(0).max(1).nullable();

const runSchema = z.object({
  text: z.string(),
  tokens: z.array(z.int().nonnegative()),
  promptTokens: z.int().positive(),
  finishReason: z.enum(["stop", "length", "abort", "error"]),
  backend: z.enum(["cpu", "webgpu"]),
  policy: z.string(),
  recovery: share,
  kv: z.object({
    bytes: z.int().nonnegative(),
    fullBytes: z.int().positive(),
    peakBytes: z.int().positive(),
    kept: matrix(z.int().nonnegative()),
    slots: matrix(z.int().nonnegative()),
    plan: matrix(z.string()),
    recovery: matrix(share),
    drift: z.object({ delayed: z.int().nonnegative(), upgraded: z.int().nonnegative() }).nullable(),
  }),
  speculation: z.object({ steps: z.int(), drafted: z.int(), accepted: z.int() }).nullable(),
  memory: z.object({ weights: z.int(), kv: z.int(), activations: z.int(), peak: z.int() }),
  timings: z.object({
    loadMs: z.number(),
    promptMs: z.number(),
    profileMs: z.number(),
    tokenMs: z.object({ p50: z.number(), p99: z.number() }).nullable(),
  }),
  logits: z.array(z.number()).optional(),
});

const profileSchema = z.object({
  promptTokens: z.int().positive(),
  recovery: share,
  layers: z
    .array(
      z.object({
        heads: z
          .array(
            z.object({
              policy: z.string(),
              recovery: share,
              kept: z.int(),
              candidates: z.array(z.object({ policy: z.string(), recovery: share, kept: z.int().nullable() })),
            }),
          )
          .length(4),
      }),
    )
    .length(4),
  kv: z.object({ bytes: z.int(), fullBytes: z.int() }),
});

const PROMPT = "Mira keeps the red key in the barn. Tom is 31 years old. The code of the blue lamp is 4711.";

async function runJson(...args: string[]): Promise<z.infer<typeof runSchema>> {
  const { code, stdout, stderr } = await winnow(["run", "--model", DEMO, "--json", ...args]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return runSchema.parse(JSON.parse(stdout));
}

test("run --json prints one object of the contract, and nothing else", async () => {
  const found = await runJson("--prompt", PROMPT, "--then", "How old is Tom?", "--logits", "5");
  expect(found.logits).toHaveLength(5);
  expect(found.policy).toBe("adaptive");
  expect(found.recovery).toBe(0.9);
  expect(found.finishReason).toBe("stop");
  expect(found.tokens.at(-1)).toBe(6);
  expect(found.text).not.toContain("<|end|>");
  expect(found.kv.peakBytes).toBeGreaterThanOrEqual(found.kv.bytes / 2);
});

test("ids are used as they are, a policy without a threshold has no recovery", async () => {
  const found = await runJson(
    "--prompt-ids",
    "0,4,290,300,310",
    "--ignore-eos",
    "--max-tokens",
    "6",
    "--policy",
    "special | recent(2)",
  );
  expect(found.promptTokens).toBe(5);
  expect(found.tokens).toHaveLength(6);
  expect(found.finishReason).toBe("length");
  expect(found.recovery).toBeNull();
  expect(new Set(found.kv.plan.flat())).toEqual(new Set(["special | recent(2)"]));
});

test("the full cache holds what the full cache holds", async () => {
  const found = await runJson("--raw", "--prompt", PROMPT, "--policy", "full", "--max-tokens", "4", "--ignore-eos");
  expect(found.kv.bytes).toBe(found.kv.fullBytes);
  expect(new Set(found.kv.recovery.flat())).toEqual(new Set([1]));
});

test("interval 1 keeps to the paper's budgets after every token", async () => {
  const found = await runJson(
    "--raw",
    "--prompt",
    PROMPT,
    "--policy",
    "recent(8)",
    "--interval",
    "1",
    "--max-tokens",
    "9",
    "--ignore-eos",
  );
  expect(Math.max(...found.kv.slots.flat())).toBe(8);
});

test("drift is counted where it is asked for", async () => {
  const usual = ["--prompt", PROMPT, "--policy", "fastgen", "--recovery", "0.6", "--interval", "4", "--ignore-eos"];
  const args = [...usual, "--max-tokens", "24"];
  expect((await runJson(...args)).kv.drift).toBeNull();
  const { kv } = await runJson(...args, "--drift", "upgrade");
  expect(kv.drift?.delayed).toBeGreaterThan(0);
});

test("guessed tokens are counted where they are asked for, and change nothing", async () => {
  const args = ["--prompt", PROMPT, "--then", "Repeat the text.", "--max-tokens", "40", "--ignore-eos"];
  const [usual, four, two] = await Promise.all([
    runJson(...args),
    runJson(...args, "--speculate"),
    runJson(...args, "--speculate", "2"),
  ]);
  expect(usual.speculation).toBeNull();
  for (const { tokens, kv, speculation } of [four, two]) {
    expect({ tokens, kv }).toEqual({ tokens: usual.tokens, kv: { ...usual.kv, peakBytes: kv.peakBytes } });
    expect(kv.peakBytes).toBeGreaterThanOrEqual(usual.kv.peakBytes);
    expect(speculation?.accepted).toBeGreaterThan(5);
    expect((speculation?.steps ?? 0) + (speculation?.accepted ?? 0)).toBe(40);
  }
});

test("the same seed writes the same, another seed something else", async () => {
  const sampled = ["--raw", "--prompt", PROMPT, "--temperature", "1.5", "--max-tokens", "20", "--ignore-eos", "--seed"];
  const [first, again, other] = await Promise.all([
    runJson(...sampled, "7"),
    runJson(...sampled, "7"),
    runJson(...sampled, "8"),
  ]);
  expect(again.tokens).toEqual(first.tokens);
  expect(other.tokens).not.toEqual(first.tokens);
});

test("profile finds a plan, and run follows it", async () => {
  const plan = join(folder, "plan.json");
  const page = join(folder, "report.html");
  const args = ["--model", DEMO, "--raw", "--prompt", PROMPT, "--policy", "fastgen", "--recovery", "0.8"];
  const { code, stdout } = await winnow([
    "profile",
    ...args,
    "--plan",
    plan,
    "--html",
    page,
    "--svg",
    join(folder, "map.svg"),
    "--json",
  ]);
  expect(code).toBe(0);
  const profile = profileSchema.parse(JSON.parse(stdout));
  const heads = profile.layers.map((layer) => layer.heads);
  expect(heads[0]?.[0]?.candidates.map(({ policy }) => policy)).toEqual([
    "special",
    "special | punctuation",
    "special | punctuation | frequent(30%)",
    "special | punctuation | frequent(30%) | recent(30%)",
    "full",
  ]);
  for (const head of heads.flat()) {
    const chosen = head.candidates.find(({ policy }) => policy === head.policy);
    expect(chosen).toMatchObject({ recovery: head.recovery, kept: head.kept });
  }
  const found = await runJson("--raw", "--prompt", PROMPT, "--plan", plan, "--max-tokens", "2", "--ignore-eos");
  expect(found.kv.plan).toEqual(heads.map((layer) => layer.map(({ policy }) => policy)));
  expect(found.kv.kept).toEqual(heads.map((layer) => layer.map(({ kept }) => kept)));
  const inspected = await winnow(["inspect", "plan", plan]);
  expect(inspected.stdout).toContain("fastgen, T = 0.8");
});

test("a session goes on from its file", async () => {
  const session = join(folder, "session.winnow");
  await runJson("--prompt", PROMPT, "--session", session);
  const found = await runJson("--prompt", "How old is Tom?", "--session", session);
  expect(found.promptTokens).toBeLessThan(20);
  expect(found.kv.slots.flat().some((slots) => slots > 20)).toBe(true);
});

test("a session goes on where its policy is given again, however it is spelled", async () => {
  const args = ["--session", join(folder, "spelled.winnow"), "--policy", "recent(30%)|sink(4)"];
  await runJson("--prompt", PROMPT, ...args);
  expect((await runJson("--prompt", "How old is Tom?", ...args)).policy).toBe("sink(4) | recent(30%)");
});

test("a probe of ids is part of a conversation like any other", async () => {
  const args = ["--session", join(folder, "probed.winnow"), "--max-tokens", "8"];
  await runJson("--prompt", PROMPT, "--probe-ids", "4,290,17", ...args);
  const { code, stderr } = await winnow(["run", "--model", DEMO, "--raw", "--prompt", "x", ...args]);
  expect(code).toBe(2);
  expect(stderr).toContain("the session holds a conversation");
  expect((await runJson("--prompt", "How old is Tom?", ...args)).promptTokens).toBeLessThan(20);
});

test.each([["hi"], ["Tom is 31."]])("a probe at T = 1 leaves the full cache as it is: %s", async (prompt) => {
  const probed = await runJson("--prompt", prompt, "--rows", "probe", "--recovery", "1", "--max-tokens", "6");
  const full = await runJson("--prompt", prompt, "--policy", "full", "--max-tokens", "6");
  expect(probed.kv).toMatchObject({ bytes: full.kv.bytes, slots: full.kv.slots });
  expect(probed.tokens).toEqual(full.tokens);
});

test("a plug-in's policy, statistic and strategy can be named", async () => {
  const plugin = join(folder, "plugin.mjs");
  writeFileSync(
    plugin,
    `export const edges = { kind: "policy", name: "edges", build: () => "sink(2) | recent(4)" };
     export const late = { kind: "statistic", name: "lateness", needs: ["mass"], compute: (head) => Float32Array.from(head.position.subarray(0, head.count)) };
     export const swap = { kind: "strategy", name: "swap", needs: [], decide: ({ heads }) => heads.map((_, h) => (h % 2 ? "full" : "recent(3)")) };`,
  );
  const args = ["--raw", "--prompt", PROMPT, "--max-tokens", "1", "--plugin", plugin, "--policy"];
  const edges = await runJson(...args, "edges");
  expect(new Set(edges.kv.kept.flat())).toEqual(new Set([6]));
  const { code, stdout } = await winnow(["run", "--model", DEMO, "--json", ...args, "top(lateness, 5)"]);
  expect(code).toBe(0);
  expect(new Set(runSchema.parse(JSON.parse(stdout)).kv.kept.flat())).toEqual(new Set([5]));
  const swap = await runJson(...args, "swap");
  expect(swap.kv.plan[0]).toEqual(["recent(3)", "full", "recent(3)", "full"]);
});

test("an estimate of the full cache is what a run of that length would hold", async () => {
  const { stdout } = await winnow(["estimate", "--model", DEMO, "--context", "100", "--policy", "full", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ fullBytes: 7 * 16 * 16 * 2 * 32 * 4, bytesPerToken: 4096 });
});

test("an estimate in q8 counts a byte an element, and a scale for each key and value", async () => {
  const args = ["--context", "100", "--policy", "full", "--kv-type", "q8", "--json"];
  const { stdout } = await winnow(["estimate", "--model", DEMO, ...args]);
  expect(JSON.parse(stdout)).toMatchObject({
    kvType: "q8",
    fullBytes: 7 * 16 * 16 * 2 * (32 + 4),
    bytesPerToken: 4 * 4 * 2 * (32 + 4),
  });
});
