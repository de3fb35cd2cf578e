import { expect, test } from "vitest";

import { hashOf } from "./repo-file";

// What `git hash-object` and `sha256sum` print.
test.each([
  ["git", "", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"],
  ["git", "hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"],
  ["sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["sha256", "hello\n", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"],
] as const)("%s of %j", (kind, text, hex) => {
  const bytes = Buffer.from(text);
  expect(hashOf({ bytes: bytes.length, digest: { kind, hex } }).update(bytes).digest("hex")).toBe(hex);
});
