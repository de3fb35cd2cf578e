import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { DEMO, winnow, type Outcome } from "./testing/winnow";

const folder = mkdtempSync(join(tmpdir(), "winnow-sessions-"));
const PROMPT = "Mira keeps the red key in the barn. Tom is 31 years old.";

/** What each file's session is begun with. */
const BEGUN = {
  usual: [],
  fastgen: ["--policy", "fastgen", "--recovery", "0.6", "--interval", "4", "--drift", "upgrade"],
  targeted: ["--policy", "ada-kv(30%)", "--kv-target", "50%"],
} as const;
type Name = keyof typeof BEGUN;
const NAMES: readonly Name[] = ["usual", "fastgen", "targeted"];

const fileOf = (name: Name): string => join(folder, `${name}.winnow`);

function run(name: Name, prompt: string, ...flags: readonly string[]): Promise<Outcome> {
  const args = ["--prompt", prompt, "--max-tokens", "12", "--session", fileOf(name), "--json"];
  return winnow(["run", "--model", DEMO, ...args, ...flags]);
}

beforeAll(async () => {
  for (const name of NAMES) expect(await run(name, PROMPT, ...BEGUN[name])).toMatchObject({ code: 0, stderr: "" });
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("a session in a file refuses to go on in another way, and stays as it was", () => {
  test.each<[name: Name, flag: string, value: string, held: string]>([
    ["usual", "--policy", "full", 'with the policy "adaptive"'],
    ["usual", "--interval", "8", "with an interval of 16 tokens"],
    ["usual", "--recovery", "0.9", "without a recovery"],
    ["usual", "--kv-target", "50%", "without a target"],
    ["usual", "--rows", "late", 'with "probe" as the source of its rows'],
    ["fastgen", "--probe-ids", "4,290", 'with "prompt" as the source of its rows'],
    ["usual", "--drift", "upgrade", "with a drift of ignore"],
    ["fastgen", "--interval", "16", "with an interval of 4 tokens"],
    ["fastgen", "--recovery", "0.8", "with a recovery of 0.6"],
    ["fastgen", "--drift", "ignore", "with a drift of upgrade"],
    ["targeted", "--policy", "ada-kv", 'with the policy "ada-kv(30%)"'],
    ["targeted", "--kv-target", "40%", "with a target of 50%"],
    ["targeted", "--recovery", "0.9", "without a recovery"],
  ])("%s: %s %s", async (name, flag, value, held) => {
    const before = readFileSync(fileOf(name));
    const { code, stdout, stderr } = await run(name, "How old is Tom?", flag, value);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    const typed = flag === "--policy" ? `"${value}"` : value;
    expect(stderr).toBe(
      `winnow: ${flag} ${typed}: --session ${fileOf(name)} was begun ${held}, and goes on so; leave out ${flag}, or give another file\n`,
    );
    expect(readFileSync(fileOf(name)).equals(before)).toBe(true);
  });

  test("in a chat as well", async () => {
    const args = ["--session", fileOf("fastgen"), "--drift", "ignore"];
    const { code, stderr } = await winnow(["chat", "--model", DEMO, ...args], { input: "How old is Tom?\n" });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^winnow: --drift ignore: --session .* with a drift of upgrade, and goes on so/);
  });
});

test.each(NAMES)("a session in a file goes on with its settings, given again or not: %s", async (name) => {
  const given = await run(name, "How old is Tom?", ...BEGUN[name]);
  const left = await run(name, "Where is the key?");
  expect(left).toMatchObject({ code: 0, stderr: "" });
  expect(given).toMatchObject({ code: 0, stderr: "" });
  const kv = { drift: name === "fastgen" ? { delayed: expect.any(Number) as number } : null };
  for (const { stdout } of [given, left]) expect(JSON.parse(stdout)).toMatchObject({ kv });
});
