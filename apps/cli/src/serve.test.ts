import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

import { afterEach, describe, expect, test } from "vitest";

import { DEMO, PROGRAM, winnow } from "./testing/winnow";

const running: ChildProcess[] = [];

afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});

interface Serving {
  readonly url: string;
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly log: () => string;
}

async function serve(...flags: string[]): Promise<Serving> {
  const args = ["serve", "--model", DEMO, "--backend", "cpu", "--port", "0", ...flags];
  const child = spawn(process.execPath, [PROGRAM, ...args], { env: { ...process.env, NO_COLOR: "1" } });
  running.push(child);
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const ended = once(child, "close");
  const [line] = (await Promise.race([once(child.stdout, "data"), ended.then(() => [log])])) as [Buffer | string];
  return { url: line.toString().trim(), child, ended, log: () => log };
}

describe("winnow serve", () => {
  test("answers within its budget and by its policy, and ends with 0 after SIGTERM", async () => {
    const { url, child, ended, log } = await serve("--kv-budget", "3MiB", "--policy", "fastgen", "--recovery", "0.9");
    const body = { model: "demo", messages: [{ role: "user", content: "Tom is 31 years old. How old is Tom?" }] };
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...body, max_tokens: 10 }),
    });
    expect(await response.json()).toMatchObject({ object: "chat.completion", winnow: { policy: "fastgen" } });
    const slots = (await (await fetch(`${url}/slots`)).json()) as { cache: { budgetBytes: number } };
    expect(slots.cache.budgetBytes).toBe(3 * 2 ** 20);
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    const lines = log()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { msg: string });
    expect(lines.map(({ msg }) => msg)).toContain("answered");
    // What was said stays between those who said it.
    expect(log()).not.toContain("Tom");
  });

  test("gives drifting heads more unless a request says otherwise", async () => {
    const policy = ["--policy", "fastgen", "--recovery", "0.6", "--interval", "4"];
    const { url } = await serve(...policy, "--drift", "upgrade", "--log-level", "silent");
    const driftOf = async (winnow: object): Promise<unknown> => {
      const response = await fetch(`${url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "demo", prompt: "Mira keeps the red key in", max_tokens: 24, winnow }),
      });
      return ((await response.json()) as { winnow: { kv: { drift: unknown } } }).winnow.kv.drift;
    };
    expect(await driftOf({})).toEqual({
      delayed: expect.any(Number) as number,
      upgraded: expect.any(Number) as number,
    });
    expect(await driftOf({ drift: "ignore" })).toBeNull();
  });

  test("guesses tokens unless a request says otherwise", async () => {
    const { url } = await serve("--speculate", "3", "--log-level", "silent");
    const guesses = async (winnow: object): Promise<unknown> => {
      const response = await fetch(`${url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "demo", prompt: "Mira keeps the red key in", max_tokens: 8, winnow }),
      });
      return ((await response.json()) as { winnow: { speculation: unknown } }).winnow.speculation;
    };
    expect(await guesses({})).toMatchObject({ steps: expect.any(Number) as number });
    expect(await guesses({ policy: "full" })).toMatchObject({ steps: expect.any(Number) as number });
    expect(await guesses({ speculate: 0 })).toBeNull();
  });

  test("lets an answer under way end after SIGTERM, and takes no other", async () => {
    const { url, child, ended } = await serve("--log-level", "silent");
    const response = await fetch(`${url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "demo", prompt: "Mira keeps the red key in", max_tokens: 200, stream: true }),
    });
    child.kill("SIGTERM");
    expect(await response.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect(await ended).toEqual([0, null]);
  });

  test.each([
    [["--port", "99999"], /0 to 65535/],
    [["--kv-budget", "lots"], /512MiB/],
    [["--policy", "recent("], /recent/],
    [["--log-level", "loud"], /--log-level is "loud"/],
    [["--max-queue", "0"], /at least 1/],
    [["--drift", "off"], /--drift.*ignore, upgrade/],
    [["--speculate", "9"], /speculate is 9; expected a whole number of tokens from 1 to 7/],
    [["--redis", "nonsense"], /^winnow: the address of Redis is "nonsense", expected redis:/],
    [["--redis", "redis://127.0.0.1:1"], /^winnow: cannot reach Redis at redis:.*ECONNREFUSED.*; start it there/],
    [["--drift", "upgrade"], /a drift of upgrade beside the policy "adaptive".*use fastgen/],
  ])("refuses %j in a line", async (flags, reason) => {
    const { code, stdout, stderr } = await winnow([
      "serve",
      "--model",
      DEMO,
      "--backend",
      "cpu",
      "--port",
      "0",
      ...flags,
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(reason);
  });

  test.each([
    [["--api-key-file", "/no/such/file"], /--api-key-file \/no\/such\/file cannot be read \(ENOENT\)/],
    [["--api-key-file", "/dev/null"], /has no key/],
    [["--host", "203.0.113.1"], /cannot listen on 203.0.113.1/],
  ])("fails in a line with %j", async (flags, reason) => {
    const { code, stdout, stderr } = await winnow([
      "serve",
      "--model",
      DEMO,
      "--backend",
      "cpu",
      "--port",
      "0",
      ...flags,
    ]);
    expect(code).toBeGreaterThan(0);
    expect(stdout).toBe("");
    expect(stderr).toMatch(reason);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});
