import { kvRowBytes, rows, type AttendRecord, type RowRange } from "@winnow/core-tensor";
import type { Sequence } from "@winnow/runtime";

import { formatRows } from "./products";
import { randomTensor } from "./random-data";
import type { MassTableCost, OperationRow, Skipped } from "./result";
import type { ShapeBench } from "./shape-bench";
import { appendWork, attentionWork, causalPairs } from "./work";

/** One row's attention over a sequence's cache, and what appends it: repetitions take one layer after the other. */
export async function measureDecodeAttention(
  bench: ShapeBench,
  { layers, tokens }: Sequence,
): Promise<(OperationRow | Skipped)[]> {
  const { backend, model } = bench;
  const { heads } = model.engine.decoder.shape;
  const { queryHeads, kvHeads, headDim } = heads;
  const scale = 1 / Math.sqrt(headDim);
  const slotBytes = 2 * kvHeads * kvRowBytes(model.engine.store.layout.kvType, headDim);
  const slots = tokens.length;
  using qkv = randomTensor(backend, [1, (queryHeads + 2 * kvHeads) * headDim]);
  using rotation = randomTensor(backend, [1, headDim]);
  using out = backend.allocate("f32", [1, queryHeads * headDim], { label: "bench", category: "activations" });
  using positions = backend.allocate("u32", [1], { label: "bench", category: "activations" });
  const layerOf = (repetition: number) => layers[repetition % layers.length];
  const attend = attentionWork({ rows: 1, heads, pairs: slots, keyValueBytes: slots * slotBytes });
  return [
    await bench.operation(`append, ${slots} slots`, appendWork(1, heads, slotBytes), (repetition) => {
      const layer = layerOf(repetition);
      if (layer === undefined) return;
      layer.grow();
      backend.append({
        heads,
        qkv: rows(qkv),
        rotation: rows(rotation),
        into: { kind: "pages", paged: layer.paged, positions: rows(positions) },
      });
      layer.takeBack();
    }),
    await bench.operation(`attend, 1 row, ${slots} slots`, attend, (repetition) => {
      const layer = layerOf(repetition);
      if (layer === undefined) return;
      backend.attend({
        heads,
        scale,
        qkv: rows(qkv),
        out: rows(out),
        groups: [{ start: 0, count: 1, paged: { kv: layer.paged, appended: 1 } }],
      });
    }),
  ];
}

export interface PromptAttention {
  readonly operations: readonly (OperationRow | Skipped)[];
  readonly massTable: MassTableCost | null;
}

/** The attention of a prompt's rows among themselves: alone, and with a mass table of every row or of one in eight. */
export async function measurePromptAttention(bench: ShapeBench, rowCount: number): Promise<PromptAttention> {
  const { backend, model } = bench;
  const { heads } = model.engine.decoder.shape;
  const { queryHeads, kvHeads, headDim } = heads;
  const options = { label: "bench", category: "activations" } as const;
  const name = `attend, ${formatRows(rowCount)}`;
  const scratchBytes = 2 * kvHeads * headDim * 4 * rowCount;
  const work = attentionWork({ rows: rowCount, heads, pairs: causalPairs(rowCount), keyValueBytes: scratchBytes });
  const measure = (what: string, stride: number | null) =>
    bench.attempt(what, async () => {
      using qkv = randomTensor(backend, [rowCount, (queryHeads + 2 * kvHeads) * headDim]);
      using k = randomTensor(backend, [kvHeads, rowCount, headDim]);
      using v = randomTensor(backend, [kvHeads, rowCount, headDim]);
      using out = backend.allocate("f32", [rowCount, queryHeads * headDim], options);
      using positions = backend.allocate("u32", [rowCount], options);
      using table = backend.allocate("f32", [queryHeads, rowCount, 1], options);
      const ranges: RowRange[] = stride === null ? [] : [{ start: 0, end: rowCount, stride }];
      const record: AttendRecord = {
        firstRow: 0,
        positions,
        columnRows: rowCount,
        tables: [{ into: table, bands: [], rows: ranges }],
        columns: [],
      };
      return await bench.operation(what, work, () => {
        backend.attend({
          heads,
          scale: 1 / Math.sqrt(headDim),
          qkv: rows(qkv),
          out: rows(out),
          groups: [{ start: 0, count: rowCount, own: { scratch: { k, v }, start: 0 } }],
          ...(stride === null ? {} : { record }),
        });
      });
    });
  const alone = await measure(name, null);
  const everyRow = await measure(`${name}, mass table of every row`, 1);
  const oneInEight = await measure(`${name}, mass table of one row in eight`, 8);
  const operations = [alone, everyRow, oneInEight];
  if ("skipped" in alone || "skipped" in everyRow || "skipped" in oneInEight) return { operations, massTable: null };
  const over = (row: OperationRow): number => row.microseconds / alone.microseconds - 1;
  return { operations, massTable: { rows: rowCount, everyRow: over(everyRow), oneInEight: over(oneInEight) } };
}
