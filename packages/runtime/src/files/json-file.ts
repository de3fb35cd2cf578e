import { WinnowError } from "@winnow/core-tensor";
import type { z } from "zod";

import type { ModelFiles } from "./model-files";
import { quote } from "./quote";

/**
 * Read a JSON file and check it against a schema.
 *
 * @throws WinnowError `file` naming the file, the field, what was found and what was expected.
 */
export async function readJsonFile<Schema extends z.ZodType>(
  files: ModelFiles,
  name: string,
  schema: Schema,
): Promise<z.output<Schema>> {
  const value = await readOptionalJsonFile(files, name, schema);
  if (value === null) throw new WinnowError("file", `${files.pathOf(name)}: no such file`);
  return value;
}

/** As {@link readJsonFile}; null where there is no such file. */
export async function readOptionalJsonFile<Schema extends z.ZodType>(
  files: ModelFiles,
  name: string,
  schema: Schema,
): Promise<z.output<Schema> | null> {
  const text = await files.readText(name);
  const path = files.pathOf(name);
  return text === null ? null : checkJson(parseJson(text, path), schema, path);
}

/** @throws WinnowError `file` when the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new WinnowError("file", `${what}: not valid UTF-8 text`, { cause });
  }
}

/** @throws WinnowError `file` when the text is not JSON. */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replaceAll(/\s+/g, " ") : String(cause);
    throw new WinnowError("file", `${what}: not valid JSON (${reason})`, { cause });
  }
}

/** @throws WinnowError `file` naming the first field that does not fit. */
export function checkJson<Schema extends z.ZodType>(value: unknown, schema: Schema, what: string): z.output<Schema> {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? "" : ` ${quote(issue.path.join("."))}`;
  const found = issue?.input === undefined ? "" : `, found ${show(issue.input)}`;
  throw new WinnowError("file", `${what}:${field} ${issue?.message ?? "does not fit"}${found}`, {
    cause: result.error,
  });
}

/** A value as a message may show it. */
function show(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
