import { WinnowError } from "@winnow/core-tensor";

/** Words of the fault buffer: which fault, and the two numbers that its message takes. */
export const FAULT_WORDS = 3;
export const FAULT_BYTES = 4 * FAULT_WORDS;

/** An error that only the device can find, such as a token outside the vocabulary that another kernel has drawn. */
export interface Fault {
  /** What the device writes for it; never 0. */
  readonly code: number;
  readonly explain: (value: number, bound: number) => WinnowError;
}

const faults: Fault[] = [];

/**
 * Describe an error that a kernel reports with `report_fault(value, bound)`. It surfaces at the next `flush` or
 * `download`; the kernel goes on, and so has to choose something harmless to do.
 *
 * @example
 * ```ts
 * const OUTSIDE = defineFault((id, size) => new WinnowError("range", `embed: token ${id} is outside ${size}`));
 * ```
 */
export function defineFault(explain: Fault["explain"]): Fault {
  const fault = { code: faults.length + 1, explain };
  faults.push(fault);
  return fault;
}

/** The error that the words of a fault buffer tell of, or null. */
export function faultIn(words: Uint32Array): WinnowError | null {
  const [code = 0, value = 0, bound = 0] = words;
  if (code === 0) return null;
  const fault = faults[code - 1];
  if (fault === undefined) return new WinnowError("backend", `the device reports the unknown fault ${code}`);
  return fault.explain(value, bound);
}

/** The variable and the function by which a kernel reports a fault; the first report of a batch stays. */
export function faultWgsl(fault: Fault, binding: number): string {
  return `@group(0) @binding(${binding}) var<storage, read_write> fault: array<atomic<u32>, ${FAULT_WORDS}>;

fn report_fault(value: u32, bound: u32) {
  loop {
    let claim = atomicCompareExchangeWeak(&fault[0], 0u, ${fault.code}u);
    if (claim.exchanged) {
      atomicStore(&fault[1], value);
      atomicStore(&fault[2], bound);
    }
    // The exchange may fail for no reason.
    if (claim.exchanged || claim.old_value != 0u) { break; }
  }
}`;
}
