import type { GpuLimits } from "../../device/limits";
import { scratch, whole } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import type { PagedSource } from "./attend-sources";
import { STAGE_PARAMS, STAGE_SLOTS, attendStageKernel } from "./attend-stage.wgsl";
import { TILE_PARAMS, TILE_VECTORS, attendTileKernel } from "./attend-tile.wgsl";
import type { AttendRecords } from "./attend-records";
import { sightParams, type GroupRows } from "./group-rows";
import { tileKeys } from "./tile-keys";

/** Keys, and as many values, are staged for as many heads at a time as fit here. */
const STAGED_BYTES = 2 ** 25;

/**
 * Attention of many rows over kept slots: they are put into their heads' order first, so that what comes out does not
 * depend on which slabs their pages lie in.
 */
export function planStaged(rows: GroupRows, paged: PagedSource, records: AttendRecords, limits: GpuLimits): Dispatch[] {
  const { queryHeads, kvHeads, headDim } = rows.spec.heads;
  const bytesPerHead = paged.longest * headDim * 4;
  const most = Math.min(STAGED_BYTES, limits.maxStorageBufferBindingSize);
  const together = Math.min(kvHeads, Math.max(1, Math.floor(most / bytesPerHead)));
  const bindings = {
    keys: scratch("attend.staged.keys", together * bytesPerHead),
    values: scratch("attend.staged.values", together * bytesPerHead),
  };
  const plan: Dispatch[] = [];
  for (let first = 0; first < kvHeads; first += together) {
    const heads = Math.min(together, kvHeads - first);
    for (const slab of paged.slabs) {
      plan.push({
        kernel: attendStageKernel({ headDim, storage: paged.storage }),
        params: STAGE_PARAMS.pack({
          slab: slab.number,
          page_slots: paged.kv.pageSlots,
          pages_per_slab: paged.kv.pagesPerSlab,
          table_width: paged.tableWidth,
          first_head: first,
          capacity: paged.longest,
        }),
        bindings: {
          page_table: whole(paged.table),
          lengths: whole(paged.lengths),
          slab: whole(slab.tensor),
          ...bindings,
        },
        grid: [Math.ceil(paged.longest / STAGE_SLOTS), heads, 1],
      });
    }
    plan.push({
      kernel: attendTileKernel({
        headDim,
        source: "staged",
        storage: "f32",
        keys: tileKeys(headDim, limits),
        capped: rows.spec.softCap !== undefined,
        windowed: rows.window !== null,
      }),
      params: TILE_PARAMS.pack({
        query_heads: queryHeads,
        kv_heads: kvHeads,
        rows: rows.count,
        qkv_row: rows.qkvRow,
        scale: rows.spec.scale,
        records: 0,
        first_head: first,
        appended: paged.appended,
        context_start: 0,
        context_count: 0,
        own_start: 0,
        own_rows: 0,
        capacity: paged.longest,
        ...sightParams(rows, paged.longest),
      }),
      bindings: {
        qkv: whole(rows.qkv),
        outputs: records.outputs,
        stats: records.stats,
        lengths: whole(paged.lengths),
        ...(rows.window === null ? {} : { positions: rows.positions }),
        ...bindings,
      },
      grid: [Math.ceil((rows.count * queryHeads) / kvHeads / TILE_VECTORS), heads, 1],
    });
  }
  return plan;
}
