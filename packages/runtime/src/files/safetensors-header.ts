import { ELEMENT_BYTES, WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import { checkJson, decodeText, parseJson } from "./json-file";
import { quote } from "./quote";
import type { FloatDType, TensorInfo } from "./tensor-source";

/** The format's own limit, which keeps a lying length from being believed. */
export const MAX_HEADER_BYTES = 100_000_000;

/** A tensor and where its bytes begin, counted from the start of the file. */
export interface TensorEntry extends TensorInfo {
  readonly dtype: FloatDType;
  readonly offset: number;
}

interface HeaderPlace {
  readonly path: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Where the header ends, which is where data offsets count from. */
  readonly dataStart: number;
}

const WEIGHT_DTYPES: ReadonlyMap<string, FloatDType> = new Map([
  ["F32", "f32"],
  ["F16", "f16"],
  ["BF16", "bf16"],
]);

const whole = z.int("expected a whole number below 2^53").nonnegative("expected a whole number of at least 0");
const entrySchema = z.strictObject({
  dtype: z.string("expected a string"),
  shape: z.array(whole, "expected an array of whole numbers"),
  data_offsets: z.tuple([whole, whole], "expected two whole numbers"),
});
const metadataSchema = z.record(z.string(), z.string("expected a string"), "expected an object of strings");
const headerSchema = z.custom<object>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "expected an object that maps names to tensors",
);

/**
 * Read the header of a safetensors file (its length is eight bytes, little-endian, at the start).
 *
 * Every entry is checked against the file before anything is read by it: the bytes must be inside the file,
 * as many as shape and type call for, shared with no other tensor, and the last tensor must end the file.
 * Gaps between tensors are let pass: nothing is read from them.
 *
 * @throws WinnowError `file` naming the file, the tensor, what was found and what was expected.
 */
export function parseHeader(bytes: Uint8Array, file: HeaderPlace): Map<string, TensorEntry> {
  const what = `${file.path}: safetensors header`;
  const header = checkJson(parseJson(decodeText(bytes, what), what), headerSchema, what);
  const entries = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") checkJson(value, metadataSchema, `${what}: __metadata__`);
    else entries.set(name, parseEntry(name, value, file));
  }
  expectDisjoint(entries, file.path);
  expectWhole(entries, file);
  return entries;
}

function parseEntry(name: string, value: unknown, file: HeaderPlace): TensorEntry {
  const what = `${file.path}: tensor ${quote(name)}`;
  const entry = checkJson(value, entrySchema, what);
  const dtype = WEIGHT_DTYPES.get(entry.dtype);
  if (dtype === undefined) {
    throw new WinnowError("file", `${what} has dtype ${quote(entry.dtype)}; expected F32, F16 or BF16`);
  }
  const [begin, end] = entry.data_offsets;
  const available = file.size - file.dataStart;
  if (begin > end || end > available) {
    throw new WinnowError(
      "file",
      `${what} has data_offsets [${begin}, ${end}]; expected begin ≤ end ≤ ${available}, the bytes that the file has after its header` +
        (begin <= end ? "; is the file cut short?" : ""),
    );
  }
  const needed = exactCount(entry.shape) * ELEMENT_BYTES[dtype];
  if (needed !== end - begin) {
    throw new WinnowError(
      "file",
      `${what} has ${end - begin} bytes of data; expected ${Number.isFinite(needed) ? needed : "more than 2^53"} for ${entry.dtype} of shape [${entry.shape.join(", ")}]`,
    );
  }
  return { dtype, shape: entry.shape, bytes: needed, offset: file.dataStart + begin };
}

/** Elements of a shape; infinity where a product on the way is no longer exact. */
function exactCount(shape: readonly number[]): number {
  let count = 1;
  for (const extent of shape) {
    count *= extent;
    if (!Number.isSafeInteger(count)) return Infinity;
  }
  return count;
}

function expectDisjoint(entries: ReadonlyMap<string, TensorEntry>, path: string): void {
  const filled = [...entries].filter(([, entry]) => entry.bytes > 0).sort(([, a], [, b]) => a.offset - b.offset);
  let previous: readonly [string, TensorEntry] | undefined;
  for (const current of filled) {
    if (previous !== undefined && previous[1].offset + previous[1].bytes > current[1].offset) {
      throw new WinnowError(
        "file",
        `${path}: tensors ${quote(previous[0])} and ${quote(current[0])} overlap in the file; expected bytes of their own`,
      );
    }
    previous = current;
  }
}

/** A header length that lies by a little, or a file with something appended, shows here. */
function expectWhole(entries: ReadonlyMap<string, TensorEntry>, { path, size, dataStart }: HeaderPlace): void {
  let end = dataStart;
  for (const { offset, bytes } of entries.values()) end = Math.max(end, offset + bytes);
  if (end !== size)
    throw new WinnowError(
      "file",
      `${path}: ${size - end} bytes after the last tensor; expected the file to end with it, at byte ${end}`,
    );
}
