import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { lengthenState } from "./llama-state";

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "winnow-state-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function words(...values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

/** One layer, a word a key and two columns of values of a word each. */
function state(tokens: readonly number[], keys: readonly number[], columns: readonly (readonly number[])[]): Buffer {
  return Buffer.concat([
    words(0x67677371, 3, tokens.length, ...tokens),
    words(2, tokens.length),
    ...tokens.map((_, position) => words(position, 1, 0)),
    words(1, 1),
    words(1, 4, 0, ...keys),
    words(1, 4, columns.length, ...columns.flat()),
    words(0),
  ]);
}

test("a state has the rows and columns of a shorter one over and over", async () => {
  const short = join(folder, "short");
  const long = join(folder, "long");
  await writeFile(
    short,
    state(
      [7, 8],
      [70, 80],
      [
        [1, 2],
        [3, 4],
      ],
    ),
  );
  await lengthenState(short, long, [7, 8, 9, 10, 11]);
  const expected = state(
    [7, 8, 9, 10, 11],
    [70, 80, 70, 80, 70],
    [
      [1, 2, 1, 2, 1],
      [3, 4, 3, 4, 3],
    ],
  );
  expect(await readFile(long)).toEqual(expected);
});

test("a file of another version is refused", async () => {
  const other = join(folder, "other");
  await writeFile(other, words(0x67677371, 4, 0));
  await expect(lengthenState(other, join(folder, "out"), [1])).rejects.toThrow(
    "its version is 4, expected 3; another version of llama.cpp needs this file's reader changed",
  );
});
