import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { drip, stallAt } from "./hub/testing/faults";
import { LoopbackHub } from "./hub/testing/loopback-hub";
import { DEMO, PROGRAM, winnow, type Outcome } from "./testing/winnow";

const NAME = "winnow/demo";
const TOKEN = "hf_verysecret";
const WEIGHTS = readFileSync(join(DEMO, "model.safetensors"));

const modelsSchema = z.strictObject({
  cache: z.string(),
  models: z.array(
    z.strictObject({
      name: z.string(),
      format: z.enum(["safetensors", "gguf"]),
      bytes: z.int().positive(),
      changed: z.iso.datetime(),
      complete: z.boolean(),
      path: z.string().nullable(),
    }),
  ),
});

let hub: LoopbackHub;
let cache: string;

beforeEach(async () => {
  hub = await LoopbackHub.start();
  hub.token = TOKEN;
  hub.publish(NAME, Object.fromEntries(readdirSync(DEMO).map((file) => [file, readFileSync(join(DEMO, file))])));
  cache = mkdtempSync(join(tmpdir(), "winnow-cache-"));
});

afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  rmSync(cache, { recursive: true, force: true });
});

const env = (): Record<string, string> => ({ WINNOW_CACHE: cache, HF_ENDPOINT: hub.url, HF_TOKEN: TOKEN });

function winnowHere(args: readonly string[], started?: (child: ChildProcess) => void): Promise<Outcome> {
  return winnow(args, { env: env(), ...(started === undefined ? {} : { started }) });
}

async function models(): Promise<z.infer<typeof modelsSchema>["models"]> {
  const { stdout } = await winnowHere(["models", "--json"]);
  return modelsSchema.parse(JSON.parse(stdout)).models;
}

describe("a model that was pulled", () => {
  test("is listed, runs by its name as by its path, and can be deleted", async () => {
    const pulled = await winnowHere(["pull", NAME]);
    expect(pulled).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^winnow\/demo has been pulled: 5\.43 MB in /) as string,
    });
    expect(pulled.stderr).toMatch(/^(?:winnow: \d+0 % of 5\.43 MB\n)+$/);
    expect((await winnowHere(["pull", NAME])).stdout).toMatch(/is up to date/);

    const [model] = await models();
    expect(model).toMatchObject({ name: NAME, format: "safetensors", complete: true });
    expect((await winnowHere(["models"])).stdout).toMatch(
      /^winnow\/demo {2}safetensors {2}5\.43 MB {2}\d{4}-\d\d-\d\d \d\d:\d\d\n$/,
    );

    const prompt = ["--prompt", "Tom is 31 years old. How old is Tom?", "--max-tokens", "12", "--json"];
    const tokens = async (place: string): Promise<unknown> => {
      const { stdout, code } = await winnowHere(["run", "--model", place, ...prompt]);
      expect(code).toBe(0);
      return z.object({ tokens: z.array(z.int()).nonempty() }).parse(JSON.parse(stdout)).tokens;
    };
    expect(await tokens(NAME)).toEqual(await tokens(DEMO));
    const inspected = await winnowHere(["inspect", "model", NAME]);
    expect(inspected.stdout).toBe((await winnowHere(["inspect", "model", DEMO])).stdout);
    expect(inspected.stdout).not.toBe("");
    expect(await winnowHere(["estimate", "--model", NAME, "--json"])).toMatchObject({ code: 0 });

    const gone = await winnowHere(["rm", NAME]);
    expect(gone).toMatchObject({ code: 0, stdout: "winnow/demo is gone; 5.43 MB are free again\n" });
    expect(readdirSync(join(cache, "models"))).toEqual([]);
    expect((await winnowHere(["models"])).stdout).toMatch(/^no models in .*; winnow pull gets one\n$/);
  });

  test("is served under its name", async () => {
    await winnowHere(["pull", NAME]);
    const args = ["serve", "--model", NAME, "--backend", "cpu", "--port", "0", "--log-level", "silent"];
    const child = spawn(process.execPath, [PROGRAM, ...args], { env: { ...process.env, ...env() } });
    try {
      const line: unknown = await once(child.stdout, "data");
      const answer: unknown = await (await fetch(`${String(line).trim()}/v1/models`)).json();
      expect(answer).toMatchObject({ data: [{ id: NAME }] });
    } finally {
      child.kill("SIGKILL");
    }
  });
});

describe("Ctrl-C while a model is pulled", () => {
  test("says that it can be gone on with, and it is", async () => {
    let child: ChildProcess | undefined;
    hub.fault = ({ what, from }) => {
      if (what !== "storage" || from > 0) return null;
      return (response, answer, content) => {
        stallAt(2_000_000)(response, answer, content);
        // Some bytes have come by then, or none: either can be gone on with.
        setTimeout(() => child?.kill("SIGINT"), 500);
      };
    };
    const stopped = await winnowHere(["pull", NAME], (started) => (child = started));
    expect(stopped).toMatchObject({ code: 130, stdout: "" });
    expect(stopped.stderr).toMatch(/winnow: stopped; winnow pull winnow\/demo goes on from here\n$/);
    expect(await models()).toMatchObject([{ name: NAME, complete: false, path: null }]);
    expect((await winnowHere(["models"])).stdout).toMatch(/in part\n$/);
    const run = await winnowHere(["run", "--model", NAME, "--prompt", "hello"]);
    expect(run).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toBe(
      "winnow: winnow/demo: has been pulled in part only; winnow pull winnow/demo gets the rest\n",
    );

    hub.fault = () => null;
    hub.requests.length = 0;
    expect((await winnowHere(["pull", NAME])).code).toBe(0);
    expect(hub.requests.filter(({ what }) => what === "storage").map(({ from }) => from)).not.toEqual([0]);
    const [model] = await models();
    expect(readFileSync(join(model?.path ?? "", "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });
});

test("two processes pull one model: it comes once, and is right", async () => {
  hub.fault = ({ what }) => (what === "storage" ? drip(10, 100) : null);
  const outcomes = await Promise.all([winnowHere(["pull", NAME]), winnowHere(["pull", NAME])]);
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
  expect(outcomes.map(({ stderr }) => stderr).join("")).toContain(
    "another process is pulling winnow/demo; waiting for it",
  );
  expect(hub.requests.filter(({ what }) => what === "storage")).toHaveLength(1);
  const [model] = await models();
  expect(readFileSync(join(model?.path ?? "", "model.safetensors")).equals(WEIGHTS)).toBe(true);
});

describe("in one line", () => {
  const line = async (args: readonly string[], code: number, changed: Record<string, string> = {}): Promise<string> => {
    const outcome = await winnow(args, { env: { ...env(), ...changed } });
    expect(outcome).toMatchObject({ code, stdout: "" });
    expect(outcome.stderr).toMatch(/^winnow: [^\n]+\n$/);
    return outcome.stderr;
  };

  test.each([
    [["pull", "demo"], 2, /"demo" names no model; expected OWNER\/NAME/],
    [["pull", "../../etc/passwd"], 2, /names no model/],
    [["rm", "../.."], 2, /names no model/],
    [["rm", "/tmp"], 2, /names no model/],
    [["rm", "a/b"], 1, /no model of that name has been pulled/],
    [["pull", "a/b"], 1, /^winnow: a\/b: the hub answered 404/],
    [["run", "--model", "a/b", "--prompt", "hello"], 1, /get it with winnow pull a\/b\n$/],
    [["chat", "--model", "a/b"], 1, /get it with winnow pull a\/b\n$/],
    [["profile", "--model", "a/b:Q4_K_M", "--prompt", "hello"], 1, /get it with winnow pull a\/b:Q4_K_M\n$/],
    [["serve", "--model", "a/b", "--port", "0"], 1, /get it with winnow pull a\/b\n$/],
    [["estimate", "--model", "a/b"], 1, /get it with winnow pull a\/b\n$/],
    [["inspect", "model", "a/b"], 1, /get it with winnow pull a\/b\n$/],
  ] as const)("%j", async (args, code, message) => {
    expect(await line(args, code)).toMatch(message);
  });

  test("what the environment says", async () => {
    expect(await line(["pull", NAME], 2, { HF_ENDPOINT: "file:///etc" })).toMatch(/HF_ENDPOINT is not a hub's address/);
    expect(await line(["pull", NAME], 2, { HF_TOKEN: "hf_\u00e9" })).toMatch(/HF_TOKEN has characters/);
    expect(await line(["pull", NAME], 1, { HF_TOKEN: "" })).toMatch(/answered 401.*set HF_TOKEN/);
    expect(await line(["pull", NAME], 1, { WINNOW_CACHE: join(DEMO, "config.json") })).toMatch(
      /set WINNOW_CACHE to another one/,
    );
  });

  test("and where a stack is asked for, without the token", async () => {
    hub.token = "another";
    const { stderr } = await winnowHere(["pull", NAME, "--debug"]);
    expect(stderr).toMatch(/\n\s+at /);
    expect(stderr).not.toContain(TOKEN);
    expect(existsSync(join(cache, "models"))).toBe(false);
  });
});
