import type { Sequence } from "./sequence";
import type { SlotBuffers } from "./slot-buffers";
import { downloadViews } from "./slot-views";

/**
 * Fill the columns of a slot table that plug-ins compute on the host: the columns they need are downloaded, and theirs
 * written back.
 */
export async function computeStatistics(
  sequence: Sequence,
  buffers: SlotBuffers,
  names: readonly string[],
  firstRow: number,
): Promise<void> {
  const { backend } = sequence.engine;
  for (const statistic of sequence.policy.registry.computed([...new Set(names)])) {
    const target = buffers.table.columns[statistic.name];
    if (target === undefined) continue;
    sequence.warnOnce(
      `the statistic "${statistic.name}" is computed on the host: its columns are downloaded at every cut`,
    );
    const views = await downloadViews(sequence, buffers, statistic.needs, firstRow);
    views.forEach((view, row) => {
      backend.write(target, statistic.compute(view), row * buffers.table.capacity);
    });
  }
}
