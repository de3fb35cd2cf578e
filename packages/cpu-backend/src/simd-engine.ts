import {
  WinnowError,
  isQuantised,
  quantisedRow,
  toFloat32,
  type QuantisedType,
  type Tensor,
} from "@winnow/core-tensor";
import { OPERATIONS, type CpuEngine } from "@winnow/core-tensor/cpu";

import { useBytesWhereExact } from "./byte-check";
import { endTrapped } from "./end-trapped";
import { instantiate, type Address } from "./kernels";
import type { Machine } from "./machine";
import { Heap } from "./memory/heap";
import { ModuleMemory, sharedMemory } from "./memory/module-memory";
import { WorkMemory } from "./memory/work-memory";
import { appendOf } from "./operations/append";
import { attendOf } from "./operations/attend";
import { compactOf } from "./operations/compact";
import { embedOf } from "./operations/embed";
import { gatherOf } from "./operations/gather";
import { matmulOf } from "./operations/matmul";
import { rmsNormOf } from "./operations/rms-norm";
import { sampleOf } from "./operations/sample";
import { PageArguments } from "./operations/page-arguments";
import { GROUP, HOLDING, formOf, groupBytes, rowsOf } from "./weight-form";

/** What a helper's thread is started with. */
export interface HelperSetup {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** 1 and up; the leader is 0. */
  readonly thread: number;
  /** The end of its stack. */
  readonly stack: Address;
}

export interface SimdEngineOptions {
  readonly module: WebAssembly.Module;
  /** Threads that compute, the calling one too. */
  readonly threads: number;
  /**
   * Start a thread that instantiates the module, sets its stack pointer, and runs `help`.
   *
   * @returns whether there may be one.
   */
  readonly startHelper: (setup: HelperSetup) => boolean;
  /** Whether relaxed SIMD's product of bytes may be used where a test finds it exact. */
  readonly trustsByteDots: boolean;
  /** Whether the calling thread may wait without turning: the main one of a browser may not. */
  readonly maySleep: boolean;
}

/** Kernels keep nothing large on it. */
const STACK_BYTES = 65_536;

/** Kernels of WebAssembly SIMD over one shared memory, and threads that help. */
export function simdEngine(options: SimdEngineOptions): CpuEngine {
  const { module, threads: asked, startHelper, trustsByteDots, maySleep } = options;
  const { memory, mostBytes } = sharedMemory();
  const instance = instantiate(module, memory);
  const { kernels, heapBase } = instance;
  const heap = new Heap(memory, heapBase, mostBytes);
  let threads = 1;
  for (; threads < asked; threads++) {
    const base = heap.allocate(STACK_BYTES, "a thread's stack");
    if (startHelper({ module, memory, thread: threads, stack: base + STACK_BYTES })) continue;
    heap.free(base);
    break;
  }
  kernels.expect_helpers(threads - 1, maySleep ? 1 : 0);
  const tensors = new ModuleMemory(memory, heap);
  const work = new WorkMemory(heap, memory, "work memory");
  const pages = new PageArguments(kernels, tensors, new WorkMemory(heap, memory, "page tables"));
  const machine: Machine = { kernels, memory: tensors, work, pages, threads };
  if (trustsByteDots) useBytesWhereExact(machine);

  return {
    holding: HOLDING,
    operations: {
      ...OPERATIONS,
      embed: endTrapped(instance, "embed", embedOf(machine)),
      rmsNorm: endTrapped(instance, "rmsNorm", rmsNormOf(machine)),
      matmul: endTrapped(instance, "matmul", matmulOf(machine)),
      append: endTrapped(instance, "append", appendOf(machine)),
      attend: endTrapped(instance, "attend", attendOf(machine)),
      gather: endTrapped(instance, "gather", gatherOf(machine)),
      compact: endTrapped(instance, "compact", compactOf(machine)),
      sample: endTrapped(instance, "sample", sampleOf(machine)),
    },

    allocate(dtype, shape, label) {
      if (dtype !== "f32" && dtype !== "u32" && dtype !== "i32") {
        throw new WinnowError(
          "dtype",
          `the CPU backend cannot allocate ${dtype} for "${label}"; expected f32, i32 or u32`,
        );
      }
      const made = tensors.tensor(dtype, shape, label);
      made.data.fill(0);
      return made;
    },

    hold(source, label) {
      const dtype = HOLDING.typeOf(source);
      const made = tensors.tensor(dtype, source.shape, label);
      try {
        if (isQuantised(dtype)) {
          groupRows(machine, source, dtype, tensors.addressOf(made.data));
        } else {
          made.data.set(dtype === source.dtype ? source.data : toFloat32(source));
        }
        return made;
      } catch (error) {
        made.release();
        throw error;
      }
    },

    [Symbol.dispose]() {
      kernels.stop_helpers();
    },
  };
}

/** Some rows at a time, so that they need not be in the module's memory twice. */
const ROWS_AT_ONCE = 1024;

function groupRows({ kernels, work }: Machine, { shape, data }: Tensor, dtype: QuantisedType, to: Address): void {
  const width = shape.at(-1) ?? 0;
  const rows = rowsOf(shape);
  const group = groupBytes(dtype, width) ?? 0;
  const { words, high, scales, supers } = quantisedRow(dtype, width);
  // Rows that are missing from the last group are zeros.
  if (rows % GROUP !== 0) work.bytes(to + Math.floor(rows / GROUP) * group, group).fill(0);
  for (let first = 0; first < rows; first += ROWS_AT_ONCE) {
    const count = Math.min(ROWS_AT_ONCE, rows - first);
    const [from = 0] = work.reserve(4 * words * count);
    work.words(from, words * count).set(data.subarray(first * words, (first + count) * words));
    kernels.group_rows(formOf(dtype), from, count, width, words, high, scales, supers, to + (first / GROUP) * group);
  }
}
