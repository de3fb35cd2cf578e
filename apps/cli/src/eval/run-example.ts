import type { Cell } from "./cells";
import { inEveryCell, type Models, type Outcome } from "./every-cell";
import { exampleTokens, type ExampleReading } from "./example-tokens";
import { referenceOf, scoreAnswer, type Reference } from "./score";
import type { Example, Grading } from "./tasks/task";

/**
 * Read an example once and answer it under every policy, teacher-forced.
 *
 * @param cells the first of which is the full cache.
 * @returns one outcome a cell.
 */
export async function runExample(
  models: Models,
  example: Example,
  grading: Grading,
  cells: readonly Cell[],
  options: ExampleReading & { readonly signal?: AbortSignal | undefined },
): Promise<readonly Outcome[]> {
  const { prompt, before, answer } = exampleTokens(models.whole, example, options);
  let full: readonly Reference[] | null = null;
  return inEveryCell(models, prompt, cells, options.signal, async (cut) => {
    const rows = await cut.follow(before, answer);
    full ??= rows.map(referenceOf);
    return scoreAnswer(grading, answer, rows, full);
  });
}
