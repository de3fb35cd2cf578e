import type { PromptPart } from "@winnow/runtime";

import type { Cell } from "./cells";
import { modelOf, type Models } from "./every-cell";
import { medianOf } from "./statistics/median";
import { limitOf, type Limit } from "./limit";

/** How long a policy takes before an answer begins. */
export type FirstToken = Limit & {
  readonly policy: string;
  /** Reading a prompt, its probe and its cut, by a session that does nothing else: the median. */
  readonly ms: number;
};

/**
 * Read prompts under every cell as sessions do, one after another and cell by cell in turn, so that what else the machine does
 * is shared among them.
 */
export async function timeFirstTokens(
  models: Models,
  prompts: readonly PromptPart[],
  cells: readonly Cell[],
  signal?: AbortSignal,
): Promise<readonly FirstToken[]> {
  const times: number[][] = cells.map(() => []);
  const [first] = prompts;
  // What only the first prompt of all waits for is nobody's.
  if (first !== undefined) {
    using warm = models.whole.createSession({ policy: "full" });
    await warm.read([first], { signal });
  }
  for (const prompt of prompts) {
    for (const [c, cell] of cells.entries()) {
      using session = modelOf(models, cell).createSession(cell.session);
      const { promptMs } = await session.read([prompt], { signal });
      times[c]?.push(promptMs);
    }
  }
  return cells.map((cell, c) => ({ ...limitOf(cell), policy: cell.policy, ms: medianOf(times[c] ?? []) }));
}
