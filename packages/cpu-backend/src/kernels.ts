import { WinnowError } from "@winnow/core-tensor";

import { KERNELS } from "./generated/kernels";

/** Of the module's memory: where something begins, in bytes; 0 for nothing. */
export type Address = number;

/** What the kernels' module exports: `kernels/*.c` says what each does. Numbers are counts unless they are called otherwise. */
export interface Kernels {
  expect_helpers(helpers: number, maySleep: number): void;
  help(thread: number): void;
  stop_helpers(): void;
  fail_job(thread: number): void;
  end_job(): void;

  find_byte_dots(): number;
  use_byte_dots(dots: number): void;

  group_rows(
    form: number,
    from: Address,
    rows: number,
    width: number,
    rowWords: number,
    high: number,
    scales: number,
    supers: number,
    to: Address,
  ): void;

  matmul_weight(...weight: WeightArguments): void;
  /** 1 where products take anything else than x itself. */
  matmul_prepares(rows: number, isNormed: number): number;
  matmul_work(rows: number, outputs: number, inputs: number): number;
  matmul(
    x: Address,
    rows: number,
    norm: Address,
    epsilon: number,
    width: number,
    from: number,
    to: number,
    bias: Address,
    residual: Address,
    activation: number,
    softCap: number,
    out: Address,
    outStride: number,
    prepared: Address,
    preparedScales: Address,
    work: Address,
    workBytes: number,
    prepare: number,
  ): void;

  embed_table(...weight: WeightArguments): void;
  embed_row(id: number, scale: number, to: Address): void;
  rms_norm(
    x: Address,
    rows: number,
    stride: number,
    weight: Address,
    width: number,
    runs: number,
    step: number,
    epsilon: number,
    residual: Address,
    out: Address,
  ): void;
  greatest_logit(logits: Address, count: number): number;
  sum_of_exponentials(logits: Address, count: number, top: number): number;

  use_pages(
    slabs: Address,
    slabCount: number,
    pagesPerSlab: number,
    pageSlots: number,
    rowWords: number,
    form: number,
    table: Address,
    tableWidth: number,
    lengths: Address,
    columns: Address,
    columnPageCount: number,
    columnTable: Address,
    columnTableWidth: number,
    pending: number,
  ): void;
  use_no_pages(): void;
  missing_page(heads: number, more: number): number;

  append(
    queryHeads: number,
    kvHeads: number,
    headDim: number,
    qkv: Address,
    rotation: Address,
    rows: number,
    k: Address,
    v: Address,
    capacity: number,
    at: number,
    positions: Address,
  ): void;

  move_columns(
    position: Address,
    mass: Address,
    maxWeight: Address,
    windowMass: Address,
    lastMass: Address,
    lastMaxWeight: Address,
    capacity: number,
  ): void;
  gather(
    kvHeads: number,
    headDim: number,
    firstRow: number,
    keep: Address,
    keepWords: number,
    k: Address,
    v: Address,
    scratchCapacity: number,
    start: number,
    count: number,
    counts: Address,
    missing: Address,
  ): void;
  compact(kvHeads: number, firstRow: number, keep: Address, keepWords: number): void;

  attend_heads(
    kvHeads: number,
    group: number,
    headDim: number,
    scale: number,
    softCap: number,
    window: number,
    q: Address,
    qStride: number,
    out: Address,
    outStride: number,
  ): void;
  attend_context(k: Address, v: Address, capacity: number, start: number, count: number): void;
  attend_own(k: Address, v: Address, capacity: number, start: number, count: number): void;
  attend_work(tileRows: number, group: number, headDim: number): number;
  attend_group(
    start: number,
    count: number,
    appended: number,
    distances: Address,
    distanceStride: number,
    tileRows: number,
    work: Address,
    workBytes: number,
  ): void;
  attend_chunk_columns(): number;
  attend_partials(count: number, columns: number, tileRows: number): number;
  attend(
    from: number,
    count: number,
    columns: number,
    weights: Address,
    weightStride: number,
    chunkGreatest: Address,
    partials: Address,
  ): void;
  record(
    kind: number,
    into: Address,
    stride: number,
    rows: Address,
    bandCount: number,
    bands: Address,
    rowPositions: Address,
    columnPositions: Address,
    positionStride: number,
    recordColumns: number,
    columns: number,
    margin: number,
  ): void;
  accumulate(): void;
}

/** A weight, as `matmul_weight` and `embed_table` take it. */
export type WeightArguments = [form: number, data: Address, width: number, rowBytes: number];

/** One thread's instance of the module. */
export interface Instance {
  readonly kernels: Kernels;
  /** Where the memory begins that no kernel has for itself. */
  readonly heapBase: Address;
  /** The end of the thread's stack: a trap leaves it where it was, and it has to be set back. */
  readonly stack: WebAssembly.Global;
}

const NAMES = {
  expect_helpers: true,
  help: true,
  stop_helpers: true,
  fail_job: true,
  end_job: true,
  find_byte_dots: true,
  use_byte_dots: true,
  group_rows: true,
  matmul_weight: true,
  matmul_prepares: true,
  matmul_work: true,
  matmul: true,
  embed_table: true,
  embed_row: true,
  rms_norm: true,
  greatest_logit: true,
  sum_of_exponentials: true,
  use_pages: true,
  use_no_pages: true,
  missing_page: true,
  append: true,
  move_columns: true,
  gather: true,
  compact: true,
  attend_heads: true,
  attend_context: true,
  attend_own: true,
  attend_work: true,
  attend_group: true,
  attend_chunk_columns: true,
  attend_partials: true,
  attend: true,
  record: true,
  accumulate: true,
} as const satisfies Record<keyof Kernels, true>;

/**
 * The module's bytes: with multiplications fused with additions where this runtime has relaxed SIMD.
 *
 * @throws WinnowError `backend` where it has no SIMD, or no atomic operations.
 */
export function kernelBytes(): Uint8Array<ArrayBuffer> {
  for (const text of [KERNELS.fused, KERNELS.plain]) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    if (WebAssembly.validate(bytes)) return bytes;
  }
  throw new WinnowError(
    "backend",
    "this runtime has no WebAssembly with SIMD and threads, which the CPU backend needs; use the reference",
  );
}

/** The calling thread's instance. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Instance {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const { __heap_base: heapBase, __stack_pointer: stack } = exports;
  const hasGlobals = heapBase instanceof WebAssembly.Global && stack instanceof WebAssembly.Global;
  if (!hasKernels(exports) || !hasGlobals) {
    throw new WinnowError("backend", "the CPU backend's module lacks kernels; build @winnow/cpu-backend again");
  }
  return { kernels: exports, heapBase: Number(heapBase.value), stack };
}

function hasKernels(exports: WebAssembly.Exports): exports is WebAssembly.Exports & Kernels {
  return Object.keys(NAMES).every((name) => typeof exports[name] === "function");
}
