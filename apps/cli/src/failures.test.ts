import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, test } from "vitest";

import { DEMO, PROGRAM, winnow, type Outcome } from "./testing/winnow";

const folder = mkdtempSync(join(tmpdir(), "winnow-cli-"));
const TINY = join(DEMO, "../../goldens/tiny-model");

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A copy of the demo model with something wrong. */
function broken(name: string, damage: (dir: string) => void): string {
  const dir = join(folder, name);
  cpSync(DEMO, dir, { recursive: true });
  damage(dir);
  return dir;
}

/** Change the header of a copy's safetensors file, its length kept. */
function changeHeader(dir: string, change: (text: string) => string): void {
  const file = join(dir, "model.safetensors");
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const text = change(bytes.toString("utf8", 8, 8 + length));
  bytes.write(text.padEnd(length), 8, length, "utf8");
  writeFileSync(file, bytes);
}

function editJson(dir: string, name: string, change: (json: Record<string, unknown>) => void): void {
  const file = join(dir, name);
  const json = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  change(json);
  writeFileSync(file, JSON.stringify(json));
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function expectOneLine({ stderr, stdout }: Outcome): void {
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^winnow: [^\n]+\n$/);
  expect(stderr).not.toMatch(/\bat .*:\d+:\d+/);
}

const HELLO = ["--prompt", "hello"];

describe("what was typed is at fault: one line, exit code 2", () => {
  test.each([
    ["no prompt", [], /no prompt/],
    ["two prompts", [...HELLO, "--prompt-ids", "0"], /several prompts/],
    ["an empty prompt", ["--prompt", " "], /empty/],
    ["an unknown flag", [...HELLO, "--bogus"], /--bogus/],
    ["a recovery out of range", [...HELLO, "--recovery", "1.5"], /1\.5.*\(0, 1\]/],
    ["a number with letters", [...HELLO, "--top-k", "12abc"], /12abc/],
    ["a policy with a ratio out of range", [...HELLO, "--page", "7"], /7 slots/],
    [
      "recovery beside a policy without a threshold",
      [...HELLO, "--policy", "sink+recent", "--recovery", "0.9"],
      /no threshold/,
    ],
    ["ids that are none", ["--prompt-ids", "0,x"], /0,4,290/],
    ["an id outside the vocabulary", ["--prompt-ids", "0,5000"], /5000.*1296/],
    ["rows of no known source", [...HELLO, "--rows", "all"], /prompt, late, probe/],
    ["a model without a name", [...HELLO, "--model", ""], /the model's name is empty/],
  ])("%s", async (_, args, message) => {
    const outcome = await winnow(["run", "--model", DEMO, ...args]);
    expect(outcome.code).toBe(2);
    expectOneLine(outcome);
    expect(outcome.stderr).toMatch(message);
  });

  test("a policy that does not parse comes with a caret under the place", async () => {
    const { code, stderr } = await winnow(["run", "--model", DEMO, ...HELLO, "--policy", "special | frequnt(30%)"]);
    expect(code).toBe(2);
    const [line, text, caret] = stderr.split("\n");
    expect(line).toMatch(/character 11.*did you mean "frequent"/);
    expect(text?.slice(caret?.indexOf("^"))).toMatch(/^frequnt/);
  });
});

describe("something else is wrong: one line, exit code 1", () => {
  const nan = (dir: string): void => {
    const path = join(dir, "model.safetensors");
    const bytes = readFileSync(path);
    bytes.writeUInt16LE(0x7e00, bytes.length - 100);
    writeFileSync(path, bytes);
  };

  test.each([
    ["a missing model", () => join(folder, "nowhere"), /nowhere/],
    [
      "weights cut short",
      () =>
        broken("short", (dir) => {
          truncateSync(join(dir, "model.safetensors"), 100_000);
        }),
      /model\.safetensors/,
    ],
    [
      "a header that lies about an offset",
      () =>
        broken("offset", (dir) => {
          changeHeader(dir, (text) => text.replace(/"data_offsets": ?\[0, ?(\d)/, '"data_offsets": [9, $1'));
        }),
      /model\.safetensors/,
    ],
    [
      "a header of another type",
      () =>
        broken("type", (dir) => {
          changeHeader(dir, (text) => text.replace('"F16"', '"I64"'));
        }),
      /I64/,
    ],
    [
      "a missing tensor",
      () =>
        broken("missing", (dir) => {
          changeHeader(dir, (text) => text.replace("model.norm.weight", "model.morn.weight"));
        }),
      /model\.(norm|morn)\.weight/,
    ],
    [
      "a shape that does not match",
      () =>
        broken("shape", (dir) => {
          editJson(dir, "config.json", (json) => {
            json.intermediate_size = 640;
          });
        }),
      /640/,
    ],
    [
      "an architecture that is not supported",
      () =>
        broken("family", (dir) => {
          editJson(dir, "config.json", (json) => {
            json.architectures = ["MambaForCausalLM"];
          });
        }),
      /MambaForCausalLM/,
    ],
    [
      "a tokenizer that does not fit",
      () =>
        broken("vocabulary", (dir) => {
          editJson(dir, "config.json", (json) => {
            json.vocab_size = 1000;
          });
        }),
      /1296|1000/,
    ],
    ["weights that are not numbers", () => broken("nan", nan), /not a finite number/],
  ])("%s", async (_, model, message) => {
    const outcome = await winnow(["run", "--model", model(), ...HELLO]);
    expect(outcome.code).toBe(1);
    expectOneLine(outcome);
    expect(outcome.stderr).toMatch(message);
  });

  test.each([
    ["a prompt longer than the context", () => ["--raw", "--prompt", "word ".repeat(1100)], /context holds 1024/],
    ["a missing file", () => ["--prompt-file", join(folder, "none.txt")], /none\.txt/],
    ["a plug-in that is not there", () => [...HELLO, "--plugin", join(folder, "none.mjs")], /none\.mjs/],
    [
      "a plug-in that is none",
      () => [...HELLO, "--plugin", file("empty.mjs", "export const x = 1;")],
      /exports no plug-in/,
    ],
    [
      "a plug-in that throws",
      () => [
        ...HELLO,
        "--policy",
        "bad",
        "--plugin",
        file("bad.mjs", 'export default { kind: "policy", name: "bad", build() { throw new Error("oh no"); } };'),
      ],
      /"bad".*oh no/,
    ],
    ["a plan that is none", () => [...HELLO, "--plan", file("plan.json", "{}")], /plan\.json/],
    ["a session that could not be saved", () => [...HELLO, "--session", join(folder, "none/s")], /cannot be saved/],
    ["a session below a file", () => [...HELLO, "--session", join(file("plain", ""), "s")], /plain is no directory/],
    ["a session that is none", () => [...HELLO, "--session", file("session", "hello")], /not a session/],
  ])("%s", async (_, args, message) => {
    const outcome = await winnow(["run", "--model", DEMO, ...args()]);
    expect(outcome.code).toBe(1);
    expectOneLine(outcome);
    expect(outcome.stderr).toMatch(message);
  });

  test("a cache in f16 on the CPU", async () => {
    const outcome = await winnow(["run", "--model", DEMO, ...HELLO, "--backend", "cpu", "--kv-type", "f16"]);
    expect(outcome.code).toBe(2);
    expectOneLine(outcome);
    expect(outcome.stderr).toContain("a cache in f16 needs WebGPU");
  });

  test.each([
    ["eval", ["--versus", "adaptve"], /"adaptve" is not among the policies; expected one of full, snapkv/],
    ["eval", ["--tasks", "none"], /--tasks none.*leaves nothing to answer; name some tasks, or give --file/],
    ["eval", ["--targets", "T=120%"], /--targets.*T=120%/],
    [
      "eval",
      ["--backend", "cpu", "--policies", "adaptive@upgrade"],
      /a drift of upgrade beside the policy "adaptive".*use fastgen/,
    ],
    ["retrieval", ["--policies", "adaptive@q4"], /slots are counted here and not bits/],
    ["retrieval", ["--policies", "fastgen@upgrade"], /before any head drifts; name the policy without @upgrade/],
  ] as const)("%s %s", async (command, mistake, message) => {
    const outcome = await winnow([command, "--model", DEMO, "--policies", "snapkv", "--samples", "1", ...mistake]);
    expect(outcome.code).toBe(2);
    expectOneLine(outcome);
    expect(outcome.stderr).toMatch(message);
  });

  test("a type of cache that there is not", async () => {
    const outcome = await winnow(["run", "--model", DEMO, ...HELLO, "--kv-type", "q5"]);
    expect(outcome.code).toBe(2);
    expectOneLine(outcome);
    expect(outcome.stderr).toMatch(/f32, f16, q8, q4/);
  });

  test("an estimate for a page that no cache has", async () => {
    const outcome = await winnow(["estimate", "--model", DEMO, "--page", "9"]);
    expect(outcome.code).toBe(2);
    expectOneLine(outcome);
  });

  /** The Vulkan loader's own list of drivers: there is none in it. */
  const NO_GPU = { VK_DRIVER_FILES: "/nowhere.json", VK_ICD_FILENAMES: "/nowhere.json" };

  test.each([
    [["run", ...HELLO, "--backend", "webgpu"], "/no/such/folder"],
    [["tune"], "/no/such/folder"],
    [["tune"], "/no/such/model.gguf"],
    [["tune"], folder],
  ])("%j: a model that is not there is told of before a GPU that is not", async (args, model) => {
    const outcome = await winnow([...args, "--model", model], { env: NO_GPU });
    expect(outcome.code).toBe(1);
    expectOneLine(outcome);
    expect(outcome.stderr).toContain(model);
  });

  test("a GPU that is not there", async () => {
    const { code, stdout, stderr } = await winnow(["run", "--model", DEMO, ...HELLO, "--backend", "webgpu"], {
      env: NO_GPU,
    });
    expect(code).toBe(1);
    expect(stdout).toBe("");
    // Dawn may have said something before.
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^winnow: no WebGPU adapter.*use the CPU backend$/);
  });

  test("a plan for another model", async () => {
    const plan = join(folder, "tiny-plan.json");
    await winnow(["profile", "--model", TINY, "--prompt-ids", "1,2,3,4,5,6", "--policy", "fastgen", "--plan", plan]);
    const outcome = await winnow(["run", "--model", DEMO, ...HELLO, "--plan", plan]);
    expect(outcome.code).toBe(1);
    expectOneLine(outcome);
    expect(outcome.stderr).toMatch(/another model: its layers is 2/);
  });

  test("--debug shows where", async () => {
    const { stderr } = await winnow(["run", "--model", join(folder, "nowhere"), ...HELLO, "--debug"]);
    expect(stderr).toMatch(/\n\s+at /);
  });
});

/** Ctrl-C amid the work. A machine that is busy may not have begun when it comes: then later, once more. */
async function interrupted(args: readonly string[], isAmid = (_: Outcome): boolean => true): Promise<Outcome> {
  for (let delayMs = 700; ; delayMs *= 2) {
    const outcome = await winnow(args, {
      started: (child) => setTimeout(() => child.kill("SIGINT"), delayMs),
    });
    if (delayMs > 20_000 || (outcome.code !== null && isAmid(outcome))) return outcome;
  }
}

describe("how it ends", () => {
  const LONG = ["run", "--model", DEMO, "--raw", "--prompt", "Once upon a time", "--ignore-eos"];

  test("quietly with 0 when the reader has seen enough", async () => {
    const { code, stderr } = await winnow(LONG, {
      started: (child) => child.stdout?.once("data", () => child.stdout?.destroy()),
    });
    expect(code).toBe(0);
    expect(stderr).toBe("");
  });

  test.each([
    ["run", [...LONG, "--session"], ""],
    ["chat", ["chat", "--model", DEMO, "--ignore-eos", "--session"], "Tom is 31 years old.\nHow old is Tom?\n"],
  ])("%s keeps its session when the reader has seen enough", async (name, args, input) => {
    const session = join(folder, `${name}-piped.session`);
    const { code } = await winnow([...args, session], {
      input,
      started: (child) => child.stdout?.once("data", () => child.stdout?.destroy()),
    });
    expect(code).toBe(0);
    expect(readFileSync(session, "latin1")).toMatch(/"tokens":\[\d+,\d+/);
  });

  test("chat ends and keeps its session when its reader has seen enough and its writer has not", async () => {
    const session = join(folder, "chat-open.session");
    const child = spawn(process.execPath, [PROGRAM, "chat", "--model", DEMO, "--ignore-eos", "--session", session]);
    child.stdout.once("data", () => child.stdout.destroy());
    child.stdin.write("Tom is 31 years old.\nHow old is Tom?\n");
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
    expect(stderr).not.toContain("winnow:");
    expect(readFileSync(session, "latin1")).toMatch(/"tokens":\[\d+,\d+/);
  });

  test("with 130 after Ctrl-C, and the JSON says abort", async () => {
    const { code } = await winnow(LONG, { started: (child) => child.stdout?.once("data", () => child.kill("SIGINT")) });
    expect(code).toBe(130);
    const whole = await interrupted([...LONG, "--json"], ({ stdout }) => stdout !== "");
    expect(whole.code).toBe(130);
    expect(JSON.parse(whole.stdout)).toMatchObject({ finishReason: "abort" });
  });

  test("with 130 after Ctrl-C while a prompt is profiled, without a word", async () => {
    // The reference takes seconds, wherever it runs.
    const text = "The key is in the cave. ".repeat(100);
    const args = ["profile", "--model", DEMO, "--backend", "reference", "--raw", "--prompt", text];
    const { code, stdout, stderr } = await interrupted(args);
    expect({ code, stdout, stderr }).toEqual({ code: 130, stdout: "", stderr: "" });
  });

  test("with 130 after one Ctrl-C while it waits for standard input", async () => {
    const child = spawn(process.execPath, [PROGRAM, "run", "--model", DEMO, "--backend", "cpu", "--prompt-file", "-"]);
    setTimeout(() => child.kill("SIGINT"), 1500);
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(130);
  });

  test("with one line where the disk is full", { skip: process.platform !== "linux" }, async () => {
    const child = spawn(process.execPath, [PROGRAM, "--help"], {
      stdio: ["ignore", openSync("/dev/full", "w"), "pipe"],
    });
    let stderr = "";
    child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(1);
    expect(stderr).toMatch(/^winnow: the output cannot be written: .*ENOSPC[^\n]*\n$/);
  });

  test("with length when the context is used up, whatever slots are free", async () => {
    const { stdout } = await winnow([...LONG, "--policy", "recent(8)", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ finishReason: "length" });
    const { tokens, promptTokens } = JSON.parse(stdout) as { tokens: number[]; promptTokens: number };
    expect(tokens.length + promptTokens).toBe(1024);
  });

  test("chat answers line by line and ends with its input", async () => {
    const input =
      "Tom is 31 years old. Mira keeps the red key in the barn. Where does Mira keep the red key?\n/bytes\n/plan\n/nonsense\n/exit\n";
    const { code, stdout } = await winnow(["chat", "--model", DEMO, "--max-tokens", "20"], { input });
    expect(code).toBe(0);
    expect(stdout).toMatch(/KV cache .* of .*%/);
    expect(stdout).toContain("layer 3");
    expect(stdout).toContain("unknown command /nonsense");
  });

  test("chat can begin anew", async () => {
    const input = "Mira keeps the red key in the barn.\n/new\n/bytes\n/exit\n";
    const { stdout } = await winnow(["chat", "--model", DEMO, "--max-tokens", "5"], { input });
    expect(stdout).toContain("[0 of 1024 tokens");
  });

  test.each([
    ["run"],
    ["chat"],
    ["profile"],
    ["inspect"],
    ["inspect model"],
    ["inspect policy"],
    ["inspect plan"],
    ["inspect gpu"],
    ["estimate"],
    ["pull"],
    ["models"],
    ["rm"],
  ])("%s --help has examples", async (command) => {
    const { code, stdout } = await winnow([...command.split(" "), "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^  winnow ${command}( |$)`, "m"));
  });
});
