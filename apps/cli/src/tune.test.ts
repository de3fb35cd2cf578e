import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";

import { FolderStore } from "./kernels/folder-store";
import { DEMO, winnow } from "./testing/winnow";

const folder = mkdtempSync(join(tmpdir(), "winnow-tune-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const result = z.object({
  adapter: z.string(),
  implementation: z.string().startsWith("Dawn of webgpu "),
  clock: z.enum(["gpu", "wall"]),
  timings: z
    .array(
      z.object({
        shape: z.string(),
        candidates: z.array(z.object({ name: z.string(), microseconds: z.number().positive() })).nonempty(),
        chosen: z.string(),
        wrong: z.array(z.string()).length(0),
      }),
    )
    .nonempty(),
});

describe.skipIf((process.env.WINNOW_NO_GPU ?? "") !== "")("winnow tune", () => {
  const env = { WINNOW_CACHE: folder };
  const run = [
    "run",
    "--model",
    DEMO,
    "--prompt",
    "hello",
    "--max-tokens",
    "3",
    "--seed",
    "1",
    "--backend",
    "webgpu",
    "--json",
  ];
  const tokens = z.object({ tokens: z.array(z.int()) });

  test("keeps its choices beside pulled models; other commands take them, and a broken file is no matter", async () => {
    const plain = await winnow(run, { env });
    expect(readdirSync(folder)).toEqual([]);
    const tuned = await winnow(["tune", "--model", DEMO, "--json"], { env });
    expect(tuned.code, tuned.stderr).toBe(0);
    const { timings } = result.parse(JSON.parse(tuned.stdout));
    expect(timings.map(({ shape }) => shape.split(" ")[0])).toContain("matmul.few");
    const [file = ""] = readdirSync(folder);
    expect(file).toMatch(/^kernels-[0-9a-f]{14}\.json$/);
    for (const { shape, chosen } of timings) {
      expect(readFileSync(join(folder, file), "utf8")).toContain(`"${shape}": {\n   "variant": "${chosen}"`);
    }
    const quick = await winnow(run, { env });
    writeFileSync(join(folder, file), "{");
    const broken = await winnow(run, { env });
    for (const outcome of [plain, quick, broken]) expect(outcome.code, outcome.stderr).toBe(0);
    expect(tokens.parse(JSON.parse(quick.stdout))).toEqual(tokens.parse(JSON.parse(plain.stdout)));
    expect(tokens.parse(JSON.parse(broken.stdout))).toEqual(tokens.parse(JSON.parse(plain.stdout)));
  });

  test("says what it needs where the choices cannot be kept", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const { code, stderr } = await winnow(["tune", "--model", DEMO, "--json"], { env: { WINNOW_CACHE: file } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/winnow: the choices cannot be kept in .*; make it writable/);
  });
});

test("a folder of texts is made when the first is written", async () => {
  const store = new FolderStore(join(folder, "new", "er"));
  expect(await store.read("a")).toBeNull();
  await store.write("a", "1");
  await store.write("a", "2");
  expect(await store.read("a")).toBe("2");
  expect(readdirSync(store.folder)).toEqual(["a"]);
});
