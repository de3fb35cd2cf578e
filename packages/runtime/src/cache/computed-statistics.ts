import type { HeadVectors } from "./head-vectors";
import type { Sequence } from "./sequence";
import type { SlotBuffers } from "./slot-buffers";
import { downloadViews, withVectors } from "./slot-views";

/**
 * Fill the columns of a slot table that plug-ins compute on the host: the columns they need are downloaded, and theirs
 * written back.
 *
 * @param vectors by row of the table; none where no statistic reads them.
 */
export async function computeStatistics(
  sequence: Sequence,
  buffers: SlotBuffers,
  names: readonly string[],
  firstRow: number,
  vectors: readonly HeadVectors[],
): Promise<void> {
  const { backend } = sequence.engine;
  for (const statistic of sequence.policy.registry.computed([...new Set(names)])) {
    const target = buffers.table.columns[statistic.name];
    if (target === undefined) continue;
    if (!statistic.builtIn) {
      sequence.warnOnce(
        `the statistic "${statistic.name}" is computed on the host: its columns are downloaded at every cut`,
      );
    }
    const views = withVectors(await downloadViews(sequence, buffers, statistic.needs, firstRow), vectors);
    const { kvHeads } = sequence.engine.decoder.shape.heads;
    views.forEach((view, row) => {
      const first = row - (row % kvHeads);
      const values = statistic.compute(view, views.slice(first, first + kvHeads));
      backend.write(target, values, row * buffers.table.capacity);
    });
  }
}
