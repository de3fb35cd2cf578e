import type { Binding } from "./binding";
import type { Grid } from "./grid";
import type { Kernel } from "./kernel";
import type { PackedParams } from "./params";

/** One run of a kernel. */
export interface Dispatch {
  readonly kernel: Kernel;
  readonly params: PackedParams;
  /** By the names of the kernel's storage variables, one for each. */
  readonly bindings: Readonly<Record<string, Binding>>;
  /** The words of the kernel's table `data`, where it has one. Copied when the plan is recorded. */
  readonly data?: Uint32Array;
  /** A grid with a 0 is skipped. */
  readonly grid: Grid;
}

/** What an operation does on the device, in order: pure data that needs no device to be made. */
export type Plan = readonly Dispatch[];
