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

import type { Address, Kernels } from "../kernels";
import type { ModuleMemory } from "../memory/module-memory";
import type { WorkMemory } from "../memory/work-memory";

const FORMS = { f32: 0, q8: 1, q4: 2 } as const;

/** What `missing_page` answers where all are there, and where a table is too narrow. */
const NONE = 0xffff_ffff;
const BEYOND_TABLE = NONE - 1;

/** A cache's pages as the kernels take them. */
export interface CachePages {
  readonly kvType: Exclude<KvType, "f16">;
  readonly kvHeads: number;
  /** By KV head: slots in use. */
  readonly lengths: Uint32Array;
  readonly slabs: readonly Address[];
  readonly pagesPerSlab: number;
  readonly pageSlots: number;
  readonly rowWords: number;
  readonly table: Address;
  readonly tableWidth: number;
  readonly lengthsAt: Address;
  readonly columns: Address;
  readonly columnPages: number;
  readonly columnTable: Address;
  readonly columnTableWidth: number;
  readonly pending: boolean;
}

/** Tells the kernels which pages the next operation is about. */
export class PageArguments {
  constructor(
    private readonly kernels: Kernels,
    private readonly tensors: ModuleMemory,
    private readonly memory: WorkMemory,
  ) {}

  /** @throws WinnowError `shape` where its parts do not fit together, `dtype` for a type that kernels do not read. */
  of(kv: PagedKv, heads: HeadShape): CachePages {
    checkPaged(kv, heads);
    const { tensors } = this;
    const { headDim, kvHeads } = heads;
    const slab = kv.slabs.find((one) => one !== null) ?? null;
    const rowWords = slab?.shape.at(-1) ?? headDim;
    const lengths = u32Of(kv.lengths);
    return {
      kvType: typeOf(slab, rowWords, headDim),
      kvHeads,
      lengths,
      slabs: kv.slabs.map((one) => (one === null ? 0 : tensors.addressOf(dataOf(one)))),
      pagesPerSlab: kv.pagesPerSlab,
      pageSlots: kv.pageSlots,
      rowWords,
      table: tensors.addressOf(u32Of(kv.table)),
      tableWidth: kv.table.shape[1] ?? 0,
      lengthsAt: tensors.addressOf(lengths),
      columns: kv.columns === null ? 0 : tensors.addressOf(f32Of(kv.columns)),
      columnPages: kv.columns === null ? 0 : Math.floor(elementCount(kv.columns.shape) / kv.pageSlots),
      columnTable: tensors.addressOf(u32Rows("paged", "column table", kv.columnTable)),
      columnTableWidth: kv.columnTable.tensor.shape[2] ?? 0,
      pending: kv.pending,
    };
  }

  /**
   * The next operation is about these.
   *
   * @param more slots that will be written behind those in use.
   * @throws WinnowError `range` where slots lie in pages that do not exist.
   */
  use(pages: CachePages, more = 0): void {
    const [slabs = 0] = this.memory.reserve(4 * pages.slabs.length);
    this.memory.words(slabs, pages.slabs.length).set(pages.slabs);
    this.kernels.use_pages(
      slabs,
      pages.slabs.length,
      pages.pagesPerSlab,
      pages.pageSlots,
      pages.rowWords,
      FORMS[pages.kvType],
      pages.table,
      pages.tableWidth,
      pages.lengthsAt,
      pages.columns,
      pages.columnPages,
      pages.columnTable,
      pages.columnTableWidth,
      pages.pending ? 1 : 0,
    );
    expectPage(this.kernels.missing_page(pages.kvHeads, more));
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
