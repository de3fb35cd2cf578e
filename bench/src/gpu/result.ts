import type { AdapterDescription } from "@winnow/gpu-backend";

import type { Machine } from "../machine";
import type { Clock, Timing } from "./stopwatch";
import type { Work } from "./work";

/** What the adapter can do, measured: the greatest rates that anything here is held against. */
export interface Ceilings {
  /** Bytes read and written together, in the copy of a large buffer by the better of two ways. */
  readonly copy: {
    readonly gigabytesPerSecond: number;
    /** Of the buffer that is copied. */
    readonly bytes: number;
    readonly byKernel: number;
    readonly byCommand: number;
  };
  /** The best rate of the backend's own `matmul` over square products of f32 rows and an f16 weight. */
  readonly product: {
    readonly gigaflopsPerSecond: number;
    readonly sizes: readonly { readonly size: number; readonly gigaflopsPerSecond: number }[];
  };
}

/** Work over time, and that as a share of the ceilings: above 1 where a cache serves what the copy took from memory. */
export interface Rates {
  readonly gigabytesPerSecond: number;
  readonly gigaflopsPerSecond: number;
  readonly ofCopy: number;
  readonly ofProduct: number;
}

/** What was not measured, and why. */
export interface Skipped {
  readonly name: string;
  readonly skipped: string;
}

/** One operation, or several that belong together, over one shape. */
export interface OperationRow extends Work, Rates {
  readonly name: string;
  readonly clock: Clock;
  readonly microseconds: number;
  readonly repetitions: number;
  readonly dispatches: number;
}

/** One kernel's part in a token or a prompt. */
export interface KernelShare {
  readonly label: string;
  readonly dispatches: number;
  readonly microseconds: number;
  /** Of the time of all kernels, 0 to 1. */
  readonly share: number;
}

/** Reading a prompt, all layers, with what its policy profiles and drops. */
export interface PromptRow extends Work, Rates {
  readonly name: string;
  readonly tokens: number;
  readonly readings: number;
  /** Median of the readings; the rates are of this time. */
  readonly wallMilliseconds: number;
  /** Sum over the dispatches, in a traced reading of its own; null without timestamps. */
  readonly gpuMilliseconds: number | null;
  readonly tokensPerSecond: number;
  readonly dispatches: number;
  /** What filling the mass table adds to the prompt's attention, as a share of that; null without timestamps. */
  readonly massTableOfAttention: number | null;
  /** Empty without timestamps. */
  readonly kernels: readonly KernelShare[];
}

/** Writing tokens behind a context of so many. */
export interface TokenRow extends Work, Rates {
  readonly name: string;
  readonly context: number;
  /** Tokens measured, one after the other. */
  readonly tokens: number;
  /** Median; the rates are of this time. */
  readonly wallMilliseconds: number;
  /** Sum over the dispatches, in a traced run of its own; null without timestamps. */
  readonly gpuMilliseconds: number | null;
  readonly dispatches: number;
  readonly submissions: number;
  /** Median of the main thread's time from drawing a token to submitting the step that reads it. */
  readonly cpuMicroseconds: number;
  /** Made while the tokens were written. */
  readonly pipelines: number;
  readonly bindGroups: number;
  /** Empty without timestamps. */
  readonly kernels: readonly KernelShare[];
}

/** What a mass table adds to the time of a prompt's attention, as a share of that. */
export interface MassTableCost {
  readonly rows: number;
  readonly everyRow: number;
  readonly oneInEight: number;
}

export interface ShapeResult {
  readonly name: string;
  readonly layers: number;
  readonly weightBytes: number;
  /** How keys and values are stored. */
  readonly kvType: string;
  readonly operations: readonly (OperationRow | Skipped)[];
  /** Null where one of the three could not be measured. */
  readonly massTable: MassTableCost | null;
  readonly prompts: readonly (PromptRow | Skipped)[];
  readonly tokens: readonly (TokenRow | Skipped)[];
}

/** What the benchmark `gpu` prints with `--json`. */
export interface GpuBenchmarkResult {
  readonly machine: Machine;
  readonly adapter: Pick<AdapterDescription, "name" | "vendor" | "architecture" | "software" | "features">;
  readonly clock: Clock;
  readonly ceilings: Ceilings;
  readonly shapes: readonly (ShapeResult | Skipped)[];
}

export function ratesOf({ bytes, flops }: Work, seconds: number, { copy, product }: Ceilings): Rates {
  const gigabytesPerSecond = bytes / seconds / 1e9;
  const gigaflopsPerSecond = flops / seconds / 1e9;
  return {
    gigabytesPerSecond: significant(gigabytesPerSecond),
    gigaflopsPerSecond: significant(gigaflopsPerSecond),
    ofCopy: significant(gigabytesPerSecond / copy.gigabytesPerSecond),
    ofProduct: significant(gigaflopsPerSecond / product.gigaflopsPerSecond),
  };
}

export function operationRow(name: string, work: Work, timing: Timing, ceilings: Ceilings): OperationRow {
  const { clock, seconds, repetitions, dispatches } = timing;
  return {
    name,
    clock,
    microseconds: significant(1e6 * seconds),
    repetitions,
    dispatches,
    ...work,
    ...ratesOf(work, seconds, ceilings),
  };
}

/** No measurement here is good for more than four digits. */
export function significant(value: number): number {
  return Number(value.toPrecision(4));
}
