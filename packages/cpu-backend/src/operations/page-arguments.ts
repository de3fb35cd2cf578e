import {
  WinnowError,
  elementCount,
  isQuantisedKv,
  kvTypeOfRow,
  type DeviceTensor,
  type HeadShape,
  type KvType,
  type PagedKv,
} from "@winnow/core-tensor";
import { checkPaged, dataOf, f32Of, u32Of, u32Rows } from "@winnow/core-tensor/cpu";

import type { Kernels } from "../kernels";
import type { ModuleMemory } from "../memory/module-memory";
import type { WorkMemory } from "../memory/work-memory";

const FORMS = { f32: 0, q8: 1, q4: 2 } as const;

/** What `missing_page` answers where all are there, and where a table is too narrow. */
const NONE = 0xffff_ffff;
const BEYOND_TABLE = NONE - 1;

/** Tells the kernels which pages the next operation is about. */
export class PageArguments {
  constructor(
    private readonly kernels: Kernels,
    private readonly tensors: ModuleMemory,
    private readonly memory: WorkMemory,
  ) {}

  /**
   * @param more slots that will be written behind those in use.
   * @returns how the pages store keys and values.
   * @throws WinnowError `shape` where its parts do not fit together, `range` where slots lie in pages that do not exist.
   */
  use(kv: PagedKv, heads: HeadShape, more = 0): Exclude<KvType, "f16"> {
    checkPaged(kv, heads);
    const { tensors } = this;
    const { headDim } = heads;
    const slab = kv.slabs.find((one) => one !== null) ?? null;
    const rowWords = slab?.shape.at(-1) ?? headDim;
    const kvType = typeOf(slab, rowWords, headDim);
    const [slabs = 0] = this.memory.reserve(4 * kv.slabs.length);
    this.memory
      .words(slabs, kv.slabs.length)
      .set(kv.slabs.map((one) => (one === null ? 0 : tensors.addressOf(dataOf(one)))));
    this.kernels.use_pages(
      slabs,
      kv.slabs.length,
      kv.pagesPerSlab,
      kv.pageSlots,
      rowWords,
      FORMS[kvType],
      tensors.addressOf(u32Of(kv.table)),
      kv.table.shape[1] ?? 0,
      tensors.addressOf(u32Of(kv.lengths)),
      kv.columns === null ? 0 : tensors.addressOf(f32Of(kv.columns)),
      kv.columns === null ? 0 : Math.floor(elementCount(kv.columns.shape) / kv.pageSlots),
      tensors.addressOf(u32Rows("paged", "column table", kv.columnTable)),
      kv.columnTable.tensor.shape[2] ?? 0,
      kv.pending ? 1 : 0,
    );
    expectPage(this.kernels.missing_page(heads.kvHeads, more));
    return kvType;
  }

  /** The next operation is about none. */
  useNone(): void {
    this.kernels.use_no_pages();
  }
}

/**
 * @param missing what the kernels say of pages that they looked for.
 * @throws WinnowError `range` where one is missing.
 */
export function expectPage(missing: number): void {
  const page = missing >>> 0;
  if (page === NONE) return;
  const what =
    page === BEYOND_TABLE ? "a page of a KV cache lies beyond its table" : `page ${page} of a KV cache does not exist`;
  throw new WinnowError("range", `${what}; resize the row first`);
}

function typeOf(slab: DeviceTensor | null, width: number, headDim: number): Exclude<KvType, "f16"> {
  if (slab === null || slab.dtype === "f32") return "f32";
  const kvType = kvTypeOfRow({ dtype: slab.dtype, width }, headDim);
  if (isQuantisedKv(kvType)) return kvType;
  throw new WinnowError(
    "dtype",
    `"${slab.label}" holds ${slab.dtype}; the CPU backend stores caches in f32, q8 and q4`,
  );
}
