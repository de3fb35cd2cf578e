import type { Cell } from "./cells";
import { inEveryCell, type Models, type Outcome } from "./every-cell";
import { exampleTokens, type ExampleReading } from "./example-tokens";
import type { FileExample, FileTask } from "./files/file-task";
import { referenceOf, scoreAnswer, type Reference } from "./score";

/**
 * Read a file's question once and write an answer under every policy. How near distributions are to the full cache's is told on
 * the answer that the full cache wrote.
 *
 * @param cells the first of which is the full cache.
 * @returns one outcome a cell.
 */
export async function runWritten(
  models: Models,
  { context, question: asked, answers }: FileExample,
  score: FileTask["score"],
  cells: readonly Cell[],
  options: ExampleReading & { readonly maxTokens: number; readonly signal?: AbortSignal | undefined },
): Promise<readonly Outcome[]> {
  const example = { system: null, context, turns: [{ question: asked, answer: "" }] };
  const { prompt, before } = exampleTokens(models.whole, example, options);
  let full: { readonly tokens: readonly number[]; readonly rows: readonly Reference[] } | null = null;
  return inEveryCell(models, prompt, cells, options.signal, async (cut, again) => {
    const { text, tokens } = await cut.write(before, options);
    const reference: readonly number[] = full?.tokens ?? tokens;
    using other = await again();
    const rows = reference.length === 0 ? [] : await other.follow(before, reference);
    full ??= { tokens, rows: rows.map(referenceOf) };
    const { kl, agreement } = scoreAnswer("graded", reference, rows, full.rows);
    return { score: score(text, answers), kl, agreement };
  });
}
