import { WinnowError } from "@winnow/core-tensor";
import { Comparison } from "@winnow/runtime";

import type { Cell } from "./cells";
import { exampleTokens } from "./example-tokens";
import type { FileExample, FileTask } from "./files/file-task";
import type { Models, Outcome } from "./run-example";
import { scoreAnswer } from "./score";

/**
 * Read a file's question once and write an answer under every policy. How near distributions are to the full cache's is told on
 * the answer that the full cache wrote.
 *
 * @param cells the first of which is the full cache.
 * @returns one outcome a cell.
 */
export async function runWritten(
  { whole, quantised }: Models,
  { context, question, answers }: FileExample,
  score: FileTask["score"],
  cells: readonly Cell[],
  options: { readonly seen: boolean; readonly maxTokens: number; readonly signal?: AbortSignal | undefined },
): Promise<readonly Outcome[]> {
  const example = { system: null, context, turns: [{ question, answer: "" }] };
  const { prompt, before } = exampleTokens(whole, example, options.seen);
  const outcomes: Outcome[] = [];
  let full: { readonly tokens: readonly number[]; readonly rows: readonly Float32Array[] } | null = null;
  const answer = async (comparison: Comparison, way: number): Promise<void> => {
    options.signal?.throwIfAborted();
    using written = await comparison.cut(way);
    const { size } = written;
    const read = written.sequence.tokens.length;
    const shares = written.sequence.layers.map(({ lengths }) => lengths.map((length) => length / read));
    const { text, tokens } = await written.write(before, options);
    using followed = await comparison.cut(way);
    const reference: readonly number[] = full?.tokens ?? tokens;
    const rows = reference.length === 0 ? [] : await followed.follow(before, reference);
    full ??= { tokens, rows };
    const { kl, agreement } = scoreAnswer("graded", reference, rows, full.rows);
    outcomes.push({ score: score(text, answers), kl, agreement, ...size, shares });
  };
  const plain = cells.filter((cell) => !cell.quantised);
  using comparison = await Comparison.read(
    whole,
    prompt,
    plain.map(({ session }) => session),
    options,
  );
  for (const cell of cells) {
    if (!cell.quantised) {
      await answer(comparison, plain.indexOf(cell));
      continue;
    }
    if (quantised === null) throw new WinnowError("range", `"${cell.policy}" needs the model with its cache in q8`);
    using other = await Comparison.read(quantised, prompt, [cell.session], options);
    await answer(other, 0);
  }
  return outcomes;
}
