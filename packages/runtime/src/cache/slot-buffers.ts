import type { Backend, DeviceTensor, SlotTable } from "@winnow/core-tensor";

/** Bits and counts that a selection writes. */
export class SelectionBuffers implements Disposable {
  /** u32 [rows, ceil(capacity / 32)] */
  readonly keep: DeviceTensor;
  /** u32 [rows] */
  readonly kept: DeviceTensor;

  constructor(
    backend: Backend,
    rowCount: number,
    /** Slots a row. */
    readonly capacity: number,
  ) {
    const options = { label: "slots", category: "activations" } as const;
    this.keep = backend.allocate("u32", [rowCount, Math.ceil(capacity / 32)], options);
    this.kept = backend.allocate("u32", [rowCount], options);
  }

  [Symbol.dispose](): void {
    this.keep[Symbol.dispose]();
    this.kept[Symbol.dispose]();
  }
}

/** A slot table on the device with what a selection over it writes. */
export class SlotBuffers implements Disposable {
  readonly table: SlotTable;
  readonly #selection: SelectionBuffers;

  constructor(backend: Backend, rowCount: number, capacity: number, columns: readonly string[]) {
    const options = { label: "slots", category: "activations" } as const;
    const shape = [rowCount, capacity];
    this.table = {
      kind: "table",
      rowCount,
      capacity,
      counts: backend.allocate("u32", [rowCount], options),
      position: backend.allocate("u32", shape, options),
      flags: backend.allocate("u32", shape, options),
      columns: Object.fromEntries(columns.map((name) => [name, backend.allocate("f32", shape, options)])),
    };
    this.#selection = new SelectionBuffers(backend, rowCount, capacity);
  }

  get keep(): DeviceTensor {
    return this.#selection.keep;
  }

  get kept(): DeviceTensor {
    return this.#selection.kept;
  }

  [Symbol.dispose](): void {
    const { counts, position, flags, columns } = this.table;
    for (const tensor of [counts, position, flags, ...Object.values(columns)]) tensor[Symbol.dispose]();
    this.#selection[Symbol.dispose]();
  }
}
