import { WinnowError } from "@winnow/core-tensor";
import { basename } from "node:path";

import { readText } from "../../options/cache";
import type { FileTask } from "./file-task";
import { readLongBench } from "./longbench";
import { readRuler } from "./ruler";

/**
 * The questions of a file of lines in RULER's format or in LongBench's: its first line tells which.
 *
 * @throws WinnowError `file` naming the file, and the line that is none of either.
 */
export async function readFileTask(file: string): Promise<FileTask> {
  const lines = (await readText(file, "--file")).split("\n").filter((line) => line.trim() !== "");
  const values = lines.map((line, i) => parsed(line, file, i + 1));
  const name = basename(file).replace(/[.]jsonl?$/, "");
  const [first] = values;
  if (isRecord(first) && "outputs" in first) return readRuler(name, values, file);
  if (isRecord(first) && "answers" in first) return readLongBench(name, values, file);
  throw new WinnowError(
    "file",
    `--file ${file}: line 1 has neither "outputs", as RULER's files have, nor "answers", as LongBench's; expected one of these formats`,
  );
}

function parsed(line: string, file: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new WinnowError("file", `--file ${file}: line ${number} is not JSON; expected an object a line`);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
