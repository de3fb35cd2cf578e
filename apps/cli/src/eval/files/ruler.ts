import { z } from "zod";

import { checkedLines } from "./checked-lines";
import type { FileExample, FileTask } from "./file-task";

const schema = z.looseObject({ input: z.string().min(1), outputs: z.array(z.string()).min(1) });

/**
 * A file of RULER (arXiv 2404.06654). Its inputs are one text each: what stands behind the last blank line is taken for the
 * question, or the last line where there is none.
 *
 * @throws WinnowError `file`
 */
export function readRuler(name: string, values: readonly unknown[], file: string): FileTask {
  const lines = checkedLines(values, schema, file);
  const examples = lines.map(({ input, outputs }): FileExample => ({ ...inTwo(input.trimEnd()), answers: outputs }));
  return { name, examples, score: name.startsWith("qa") ? anyContained : allContained };
}

function inTwo(input: string): Pick<FileExample, "context" | "question"> {
  const blank = input.lastIndexOf("\n\n");
  const at = blank >= 0 ? blank : input.lastIndexOf("\n");
  return at < 0 ? { context: "", question: input } : { context: input.slice(0, at), question: input.slice(at).trim() };
}

/** RULER's `string_match_all`: the share of the answers that the text contains, whatever their case. */
export function allContained(written: string, answers: readonly string[]): number {
  const text = written.toLowerCase();
  return answers.filter((answer) => text.includes(answer.toLowerCase())).length / answers.length;
}

/** RULER's `string_match_part`, for its questions with several right answers: whether the text contains one. */
export function anyContained(written: string, answers: readonly string[]): number {
  const text = written.toLowerCase();
  return answers.some((answer) => text.includes(answer.toLowerCase())) ? 1 : 0;
}
