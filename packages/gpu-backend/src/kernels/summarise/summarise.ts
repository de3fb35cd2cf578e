import { expectShape, type RankTest, type SummariseSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuLimits } from "../../device/limits";
import { scratch, whole, type Binding } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { tensorOperand } from "../../dispatch/operands";
import { expectRanksBelow, planRanks } from "../rank-slots/rank-plan";
import { rankSlots } from "../rank-slots/rank-slots";
import { CELLS_PARAMS, summariseCellsKernel } from "./summarise-cells.wgsl";
import { SUMMARISE_SUMS, SUMS_OUTPUTS, SUMS_PARAMS } from "./summarise-sums.wgsl";

/** Sums of the mass table by (query head, class, rank bucket, band), and counts of columns by (KV head, class, bucket). */
export function planSummarise(spec: SummariseSpec, { limits }: GpuCapabilities): Plan {
  const { heads, slots, classCount, scales } = spec;
  const { queryHeads, kvHeads } = heads;
  const table = tensorOperand("mass table", spec.table, ["f32"]);
  const tableColumns = table.shape[1] ?? 0;
  const bands = table.shape[2] ?? 1;
  const shared = spec.classes.shape[0] === 1;
  const buckets = scales.reduce((product, scale) => product * (scale.edges.length + 1), 1);
  expectShape("summarise", "table", table.shape, [queryHeads, null, bands]);
  expectShape("summarise", "sums", spec.sums.shape, [queryHeads, classCount, buckets, bands]);
  expectShape("summarise", "counts", spec.counts.shape, [kvHeads, classCount, buckets]);
  expectShape("summarise", "classes", spec.classes.shape, [shared ? 1 : kvHeads, slots.capacity]);
  const ranks = rankColumns(spec, limits);
  const slotCounts = whole(tensorOperand("slot counts", slots.counts, ["u32"]));
  const classes = whole(tensorOperand("classes", spec.classes, ["u32"]));
  const cells = scratch("summarise.cells", kvHeads * slots.capacity * 4);
  const outputs = classCount * buckets * bands;
  const size = {
    capacity: slots.capacity,
    table_columns: tableColumns,
    class_count: classCount,
    class_stride: shared ? 0 : slots.capacity,
  };
  return [
    ...ranks.dispatches,
    {
      kernel: summariseCellsKernel({ edges: scales.map((scale) => scale.edges.length) }),
      params: CELLS_PARAMS.pack({ ...size, heads: kvHeads, buckets, rows_at: ranks.rowsAt }),
      bindings: {
        slot_counts: slotCounts,
        classes,
        cells,
        counts: whole(tensorOperand("counts", spec.counts, ["u32"])),
        ...ranks.bindings,
      },
      ...(ranks.words === null ? {} : { data: ranks.words }),
      grid: flatGrid(kvHeads, limits),
    },
    {
      kernel: SUMMARISE_SUMS,
      params: SUMS_PARAMS.pack({ ...size, kv_heads: kvHeads, query_heads: queryHeads, bands, outputs }),
      bindings: {
        slot_counts: slotCounts,
        classes,
        cells,
        masses: whole(table),
        sums: whole(tensorOperand("sums", spec.sums, ["f32"])),
      },
      grid: [Math.ceil(outputs / SUMS_OUTPUTS), queryHeads, 1],
    },
  ];
}

interface ColumnRanks {
  readonly rowsAt: number;
  readonly words: Uint32Array | null;
  readonly bindings: Readonly<Record<string, Binding>>;
  readonly dispatches: readonly Dispatch[];
}

/** Rank the columns by every scale: each edge is a rank test, of which a row has the same. */
function rankColumns({ slots, scales, now, firstRow }: SummariseSpec, limits: GpuLimits): ColumnRanks {
  for (const { within } of scales) if (within !== undefined) expectRanksBelow(within, 0);
  const ranks = scales.flatMap(({ edges, within, scope }, score) =>
    edges.map((k): RankTest => ({ score, k, scope, ...(within === undefined ? {} : { within }) })),
  );
  if (ranks.length === 0) return { rowsAt: 0, words: null, bindings: {}, dispatches: [] };
  const plan = planRanks({
    slots,
    headsPerLayer: slots.rowCount,
    firstRow: 0,
    rowCount: slots.rowCount,
    programs: Array.from({ length: slots.rowCount }, () => ({ ranks, keep: [] })),
    scores: scales.map(({ score }) => score),
    wanted: () => ranks.map((_, test) => test),
  });
  const { keys, thresholds, dispatches } = rankSlots(plan, slots, { now, seedRow: firstRow }, limits);
  const positions = whole(tensorOperand("positions", slots.position, ["u32"]));
  return { rowsAt: plan.rowsAt, words: plan.words, bindings: { positions, keys, thresholds }, dispatches };
}
