import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";

const HASHED = /^sha256:([0-9a-f]{64})$/i;

/**
 * Who may use the server. Only hashes are kept in memory, and a key is compared with all of them in constant time.
 *
 * A line of the file is a key, or `sha256:` and the hash of one (`printf %s KEY | sha256sum`); blank lines and lines that
 * begin with `#` are left out.
 */
export class ApiKeys {
  readonly #hashes: readonly Buffer[];

  constructor(lines: readonly string[]) {
    this.#hashes = lines.map((line) => {
      const [, hash] = HASHED.exec(line) ?? [];
      return hash === undefined ? hashOf(line) : Buffer.from(hash, "hex");
    });
  }

  /** @throws WinnowError `file` when it cannot be read, or has no key. */
  static async read(file: string): Promise<ApiKeys> {
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch (cause) {
      const reason = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
      throw new WinnowError("file", `--api-key-file ${file} cannot be read (${reason})`, { cause });
    }
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    const keys = lines.filter((line) => line !== "" && !line.startsWith("#"));
    if (keys.length === 0) {
      throw new WinnowError("file", `--api-key-file ${file} has no key; write one a line, or leave the flag out`);
    }
    return new ApiKeys(keys);
  }

  /** A short name for the key, which says nothing about it; null for one that is none of these. */
  nameOf(key: string): string | null {
    const hash = hashOf(key);
    let known = false;
    for (const other of this.#hashes) known = timingSafeEqual(hash, other) || known;
    return known ? hash.toString("hex").slice(0, 12) : null;
  }
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
