import type { Backend, DeviceTensor, SlotTable } from "@winnow/core-tensor";

/** A slot table on the device with the bits and counts that a selection over it writes. */
export class SlotBuffers implements Disposable {
  readonly table: SlotTable;
  /** u32 [rows, ceil(capacity / 32)] */
  readonly keep: DeviceTensor;
  /** u32 [rows] */
  readonly kept: DeviceTensor;

  constructor(backend: Backend, rowCount: number, capacity: number, columns: readonly string[]) {
    const options = { label: "slots", category: "activations" } as const;
    const shape = [rowCount, capacity];
    this.table = {
      rowCount,
      capacity,
      counts: backend.allocate("u32", [rowCount], options),
      position: backend.allocate("u32", shape, options),
      flags: backend.allocate("u32", shape, options),
      columns: Object.fromEntries(columns.map((name) => [name, backend.allocate("f32", shape, options)])),
    };
    this.keep = backend.allocate("u32", [rowCount, Math.ceil(capacity / 32)], options);
    this.kept = backend.allocate("u32", [rowCount], options);
  }

  [Symbol.dispose](): void {
    const { counts, position, flags, columns } = this.table;
    for (const tensor of [counts, position, flags, this.keep, this.kept, ...Object.values(columns)]) {
      tensor[Symbol.dispose]();
    }
  }
}
