import { isLasting, type BackendOperations, type DeviceTensor, type OperationName } from "@winnow/core-tensor";

import { GpuTensor } from "../buffers/gpu-tensor";
import type { StoredBuffer } from "../buffers/stored-buffer";
import type { PreparedDispatch } from "./prepared-dispatch";
import { LeafMatcher, leavesOf, type FacetOf, type SpecLeaves } from "./spec-leaves";

/** Plans that are kept by one anchor: more than take turns while sequences draw, join and leave. */
const MOST_BY_ANCHOR = 4;

/** How an operation repeats: what to look for, and what may differ. */
export interface Repeat<Spec> {
  /** The tensor that plans of the operation are kept by; null where it is not expected to come again. */
  readonly anchor: (spec: Spec) => DeviceTensor | null;
  readonly facetOf: FacetOf<Spec>;
}

interface KeptPlan {
  readonly name: OperationName;
  readonly anchor: StoredBuffer;
  readonly leaves: SpecLeaves;
  readonly dispatches: readonly PreparedDispatch[];
  /** All that it knows of; it goes when one of them goes. */
  readonly buffers: ReadonlySet<StoredBuffer>;
  dropped: boolean;
}

/**
 * Prepared dispatches of operations that came before: a decoder calls the same ones for every token. An operation whose
 * specification gives the same plan is told to the device again, without planning it and without looking anything up.
 *
 * A plan is kept by one of its tensors, so that few have to be compared, and is dropped with the first of its buffers that
 * is destroyed: neither is a buffer used after that, nor anything kept for its sake.
 */
export class PlanMemo {
  readonly #byAnchor = new Map<StoredBuffer, KeptPlan[]>();
  readonly #byBuffer = new Map<StoredBuffer, Set<KeptPlan>>();
  readonly #matcher = new LeafMatcher();
  /** Of lasting specifications, which need not be compared; they do not keep a plan that is dropped. */
  readonly #bySpec = new WeakMap<object, WeakRef<KeptPlan>>();
  #size = 0;

  /** Plans that are kept. */
  get size(): number {
    return this.#size;
  }

  /** What the specification's plan was prepared as, or null. */
  find<Name extends OperationName>(
    name: Name,
    { anchor, facetOf }: Repeat<BackendOperations[Name]>,
    spec: BackendOperations[Name],
  ): readonly PreparedDispatch[] | null {
    const known = this.#bySpec.get(spec)?.deref();
    if (known?.name === name && !known.dropped && isIntact(known)) return known.dispatches;
    const buffer = bufferOf(anchor(spec));
    const kept = buffer === null ? undefined : this.#byAnchor.get(buffer);
    if (kept === undefined) return null;
    for (let i = 0; i < kept.length; i++) {
      const plan = kept[i];
      if (plan?.name !== name || !this.#matcher.matches(spec, facetOf, plan.leaves)) continue;
      // Found sooner the next time, and dropped later.
      for (let place = i; place > 0; place--) swap(kept, place, place - 1);
      if (isIntact(plan)) {
        if (isLasting(spec)) this.#bySpec.set(spec, new WeakRef(plan));
        return plan.dispatches;
      }
      // Planned anew, it is compiled anew, and says once more what is wrong with it.
      this.#drop(plan);
      return null;
    }
    return null;
  }

  /** Keep what a specification's plan was prepared as, if it may come again. */
  keep<Name extends OperationName>(
    name: Name,
    { anchor, facetOf }: Repeat<BackendOperations[Name]>,
    spec: BackendOperations[Name],
    dispatches: readonly PreparedDispatch[],
  ): void {
    const by = bufferOf(anchor(spec));
    const leaves = by === null ? null : leavesOf(spec, facetOf);
    if (by === null || leaves === null) return;
    const tensors = leaves.filter((leaf) => leaf instanceof GpuTensor);
    const buffers = new Set([by, ...tensors.map(({ buffer }) => buffer), ...dispatches.flatMap((of) => of.buffers)]);
    // The parameters' may have grown between two dispatches of the plan.
    if ([...buffers].some(({ destroyed }) => destroyed)) return;
    const plan = { name, anchor: by, leaves, dispatches, buffers, dropped: false };
    const kept = this.#byAnchor.get(by) ?? [];
    const oldest = kept.length >= MOST_BY_ANCHOR ? kept.at(-1) : undefined;
    if (oldest !== undefined) this.#drop(oldest);
    kept.unshift(plan);
    this.#byAnchor.set(by, kept);
    this.#size++;
    if (isLasting(spec)) this.#bySpec.set(spec, new WeakRef(plan));
    for (const buffer of buffers) {
      const users = this.#byBuffer.get(buffer);
      if (users === undefined) this.#byBuffer.set(buffer, new Set([plan]));
      else users.add(plan);
    }
  }

  /** Drop the plans of a buffer that is about to be destroyed. */
  forget(buffer: StoredBuffer): void {
    for (const plan of this.#byBuffer.get(buffer) ?? []) this.#drop(plan);
  }

  #drop(plan: KeptPlan): void {
    const kept = this.#byAnchor.get(plan.anchor);
    const place = kept?.indexOf(plan) ?? -1;
    if (kept === undefined || place < 0) return;
    kept.splice(place, 1);
    plan.dropped = true;
    if (kept.length === 0) this.#byAnchor.delete(plan.anchor);
    this.#size--;
    for (const buffer of plan.buffers) {
      const users = this.#byBuffer.get(buffer);
      users?.delete(plan);
      if (users?.size === 0) this.#byBuffer.delete(buffer);
    }
  }
}

function bufferOf(handle: DeviceTensor | null): StoredBuffer | null {
  return handle instanceof GpuTensor && !handle.disposed ? handle.buffer : null;
}

function isIntact({ dispatches }: KeptPlan): boolean {
  for (const { pipeline } of dispatches) if (pipeline.failed) return false;
  return true;
}

function swap(plans: KeptPlan[], i: number, j: number): void {
  const [one, other] = [plans[i], plans[j]];
  if (one === undefined || other === undefined) return;
  plans[i] = other;
  plans[j] = one;
}
