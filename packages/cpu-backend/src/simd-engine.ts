import {
  WinnowError,
  isQuantised,
  quantisedRow,
  toFloat32,
  type DType,
  type Shape,
  type Tensor,
} from "@winnow/core-tensor";
import { OPERATIONS, type CpuArray, type CpuEngine, type CpuMemory } from "@winnow/core-tensor/cpu";

import { instantiate, type Address } from "./kernels";
import type { Machine } from "./machine";
import { Heap } from "./memory/heap";
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
import { HOLDING, groupBytes, groupedForm, rowsOf } from "./weight-form";

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
  /** Start a thread that instantiates the module, sets its stack pointer, and runs `help`. */
  readonly startHelper: (setup: HelperSetup) => void;
  /** Whether the calling thread may wait without turning: the main one of a browser may not. */
  readonly maySleep: boolean;
}

/** Kernels keep nothing large on it. */
const STACK_BYTES = 65_536;
const FIRST_PAGES = 256;
/** 4 GiB is what 32-bit addresses reach; where so much address space is not to be had, less will do. */
const MOST_PAGES = [65_536, 32_768, 16_384];

/** Kernels of WebAssembly SIMD over one shared memory, and threads that help. */
export function simdEngine({ module, threads, startHelper, maySleep }: SimdEngineOptions): CpuEngine {
  const memory = sharedMemory();
  const { kernels, heapBase } = instantiate(module, memory);
  const heap = new Heap(memory, heapBase);
  for (let thread = 1; thread < threads; thread++) {
    const stack = heap.allocate(STACK_BYTES, "a thread's stack") + STACK_BYTES;
    startHelper({ module, memory, thread, stack });
  }
  kernels.expect_helpers(threads - 1, maySleep ? 1 : 0);
  const work = new WorkMemory(heap, memory, "work memory");
  const pages = new PageArguments(kernels, new WorkMemory(heap, memory, "page tables"));
  const machine: Machine = { kernels, work, pages, threads };

  const memoryOf = (bytes: number, label: string, view: (at: Address) => CpuArray): CpuMemory => {
    const at = heap.allocate(bytes, label);
    return {
      data: view(at),
      release: () => {
        heap.free(at);
      },
    };
  };

  return {
    holding: HOLDING,
    operations: {
      ...OPERATIONS,
      embed: embedOf(machine),
      rmsNorm: rmsNormOf(machine),
      matmul: matmulOf(machine),
      append: appendOf(machine),
      attend: attendOf(machine),
      gather: gatherOf(machine),
      compact: compactOf(machine),
      sample: sampleOf(machine),
    },

    allocate(dtype, shape, label) {
      if (dtype !== "f32" && dtype !== "u32" && dtype !== "i32") {
        throw new WinnowError(
          "dtype",
          `the CPU backend cannot allocate ${dtype} for "${label}"; expected f32, i32 or u32`,
        );
      }
      const made = memoryOf(HOLDING.bytesOf(dtype, shape), label, (at) => viewOf(memory, dtype, shape, at));
      made.data.fill(0);
      return made;
    },

    hold(source, label) {
      const dtype = HOLDING.typeOf(source);
      const bytes = HOLDING.bytesOf(dtype, source.shape);
      const made = memoryOf(bytes, label, (at) => viewOf(memory, dtype, source.shape, at));
      if (source.dtype === "q8_0" || source.dtype === "q4_0") {
        made.data.fill(0);
        groupRows(machine, source, source.dtype, made.data.byteOffset);
      } else {
        made.data.set(dtype === source.dtype ? source.data : toFloat32(source));
      }
      return made;
    },

    [Symbol.dispose]() {
      kernels.stop_helpers();
    },
  };
}

function sharedMemory(): WebAssembly.Memory {
  let refusal: unknown;
  for (const maximum of MOST_PAGES) {
    try {
      return new WebAssembly.Memory({ initial: FIRST_PAGES, maximum, shared: true });
    } catch (error) {
      refusal = error;
    }
  }
  throw new WinnowError("memory", "no address space for the CPU backend's memory; use the reference", {
    cause: refusal,
  });
}

function viewOf(memory: WebAssembly.Memory, dtype: DType, shape: Shape, at: Address): CpuArray {
  const { buffer } = memory;
  const bytes = HOLDING.bytesOf(dtype, shape);
  switch (dtype) {
    case "f32":
      return new Float32Array(buffer, at, bytes / 4);
    case "i32":
      return new Int32Array(buffer, at, bytes / 4);
    case "f16":
    case "bf16":
      return new Uint16Array(buffer, at, bytes / 2);
    default:
      return new Uint32Array(buffer, at, bytes / 4);
  }
}

/** Some rows at a time, so that they need not be in the module's memory twice. */
const ROWS_AT_ONCE = 1024;

function groupRows({ kernels, work }: Machine, { shape, data }: Tensor, dtype: "q8_0" | "q4_0", to: Address): void {
  const width = shape.at(-1) ?? 0;
  const rows = rowsOf(shape);
  const group = groupBytes(dtype, width) ?? 0;
  if (rows === 0 || !isQuantised(dtype)) return;
  const { words, scales } = quantisedRow(dtype, width);
  for (let first = 0; first < rows; first += ROWS_AT_ONCE) {
    const count = Math.min(ROWS_AT_ONCE, rows - first);
    const [from = 0] = work.reserve(4 * words * count);
    work.words(from, words * count).set(data.subarray(first * words, (first + count) * words));
    kernels.group_rows(groupedForm(dtype), from, count, width, 4 * words, 4 * scales, to + (first / 4) * group);
  }
}
