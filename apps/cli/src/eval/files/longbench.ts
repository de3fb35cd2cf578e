import { z } from "zod";

import { checkedLines } from "./checked-lines";
import type { FileTask } from "./file-task";

const schema = z.looseObject({ input: z.string(), context: z.string().min(1), answers: z.array(z.string()).min(1) });

/**
 * A file of LongBench (arXiv 2308.14508), scored as its questions are: by the words that an answer shares with the best of the
 * right ones. Its summaries, classes and programs have scores of their own, which are not here.
 *
 * @throws WinnowError `file`
 */
export function readLongBench(name: string, values: readonly unknown[], file: string): FileTask {
  const lines = checkedLines(values, schema, file);
  return {
    name,
    examples: lines.map(({ input, context, answers }) => ({ context, question: input, answers })),
    score: (written, answers) => Math.max(...answers.map((answer) => f1(written, answer))),
  };
}

/** Harmonic mean of the shares of words that two texts have in common (SQuAD, arXiv 1606.05250, section 6.1). */
export function f1(written: string, answer: string): number {
  const [found, right] = [words(written), words(answer)];
  if (found.length === 0 || right.length === 0) return found.length === right.length ? 1 : 0;
  const rest = [...right];
  let common = 0;
  for (const word of found) {
    const at = rest.indexOf(word);
    if (at < 0) continue;
    rest.splice(at, 1);
    common++;
  }
  return common === 0 ? 0 : (2 * common) / (found.length + right.length);
}

/** In lower case, without punctuation and articles. */
function words(text: string): string[] {
  return text
    .toLowerCase()
    .replaceAll(/[\p{P}\p{S}]/gu, "")
    .split(/\s+/)
    .filter((word) => word !== "" && word !== "a" && word !== "an" && word !== "the");
}
