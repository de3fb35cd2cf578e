import type { DeviceTensor, DType, Shape } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../device/capabilities";
import type { Plan } from "../dispatch/dispatch";
import { digestOf } from "./digest";

/** A kernel that was measured to be the fastest of its family for one shape. */
export interface SavedChoice {
  /** The candidate's name. */
  readonly variant: string;
  /** A digest of the candidates' shaders: other shaders have other times. */
  readonly source: string;
}

/** Saved choices by the shape's key. Where there is none, the first candidate is taken. */
export type KernelChoices = ReadonlyMap<string, SavedChoice>;

/** What a plan is made for: a device, and the kernels that were chosen for it. */
export interface PlanTarget extends GpuCapabilities {
  readonly kernels: KernelChoices;
}

/** One way to compute a shape. */
export interface KernelCandidate<Choice> {
  readonly name: string;
  readonly choice: Choice;
  /** Whether activations are rounded, to eight bits or to halves: then results differ by more than the order of sums. */
  readonly rounds: boolean;
}

/** What a shape is timed with. */
export interface Workbench {
  readonly capabilities: GpuCapabilities;
  /** Whether the adapter computes in software: less work will do. */
  readonly software: boolean;
  /** A tensor of the device with finite numbers in it. */
  allocate(dtype: DType, shape: Shape): DeviceTensor;
  /** A tensor of floats for what the operation computes: candidates have to agree in it. */
  result(shape: Shape): DeviceTensor;
  /** How many tensors of so many bytes no cache holds together, as a model's weights are not held. */
  copies(bytes: number): number;
}

/** The plan of a shape's operation by a candidate; repetitions take operands in turn. */
export type Workload<Choice> = (choice: Choice, repetition: number) => Plan;

export interface KernelFamilyDefinition<Shape, Choice> {
  /** The operation and the case of it, such as `matmul.few`. */
  readonly name: string;
  /** The shape as text: equal exactly where shapes are. */
  readonly keyOf: (shape: Shape) => string;
  /** What a device can run for a shape; first what is taken where nothing was measured. */
  readonly candidates: (shape: Shape, capabilities: GpuCapabilities) => readonly KernelCandidate<Choice>[];
  /** A candidate's shaders. */
  readonly wgslOf: (shape: Shape, choice: Choice, capabilities: GpuCapabilities) => string;
  /** Shapes to time where one was used: those that differ from it in what changes from call to call. */
  readonly siblings?: (shape: Shape) => readonly Shape[];
  readonly workload: (shape: Shape, bench: Workbench) => Workload<Choice>;
}

interface Resolved<Shape, Choice> {
  readonly shape: Shape;
  readonly choice: Choice;
}

/**
 * Kernels that compute the same, of which one is taken for each shape.
 *
 * A choice is looked up for every operation, so it is resolved once for each shape and set of choices.
 */
export class KernelFamily<Shape, Choice> {
  readonly #definition: KernelFamilyDefinition<Shape, Choice>;
  readonly #resolved = new WeakMap<KernelChoices, Map<string, Resolved<Shape, Choice>>>();

  constructor(definition: KernelFamilyDefinition<Shape, Choice>) {
    this.#definition = definition;
  }

  /** What a choice for the shape is saved under. */
  keyOf(shape: Shape): string {
    return `${this.#definition.name} ${this.#definition.keyOf(shape)}`;
  }

  /** The saved choice if it is still one of the candidates and their shaders are what was measured, else the first candidate. */
  choiceFor(shape: Shape, target: PlanTarget): Choice {
    let known = this.#resolved.get(target.kernels);
    if (known === undefined) {
      known = new Map<string, Resolved<Shape, Choice>>();
      this.#resolved.set(target.kernels, known);
    }
    const key = this.keyOf(shape);
    const found = known.get(key);
    if (found !== undefined) return found.choice;
    const choice = this.#resolve(shape, key, target);
    known.set(key, { shape, choice });
    return choice;
  }

  /** Shapes that were looked up with these choices, and their siblings. */
  shapesUsed(kernels: KernelChoices): readonly Shape[] {
    const shapes = new Map<string, Shape>();
    for (const { shape } of this.#resolved.get(kernels)?.values() ?? []) {
      for (const each of this.#definition.siblings?.(shape) ?? [shape]) shapes.set(this.keyOf(each), each);
    }
    return [...shapes.values()];
  }

  candidates(shape: Shape, capabilities: GpuCapabilities): readonly KernelCandidate<Choice>[] {
    return this.#definition.candidates(shape, capabilities);
  }

  /** What is taken where nothing was measured. */
  firstOf(shape: Shape, capabilities: GpuCapabilities): Choice {
    const [first] = this.candidates(shape, capabilities);
    if (first === undefined)
      throw new RangeError(`${this.keyOf(shape)}: no candidates; a family has one for every device`);
    return first.choice;
  }

  /** A digest of all candidates' shaders. */
  sourceOf(shape: Shape, capabilities: GpuCapabilities): string {
    const { wgslOf } = this.#definition;
    const texts = this.candidates(shape, capabilities).map(({ name, choice }) => [
      name,
      wgslOf(shape, choice, capabilities),
    ]);
    return digestOf(JSON.stringify(texts));
  }

  workload(shape: Shape, bench: Workbench): Workload<Choice> {
    return this.#definition.workload(shape, bench);
  }

  #resolve(shape: Shape, key: string, target: PlanTarget): Choice {
    const first = this.firstOf(shape, target);
    const saved = target.kernels.get(key);
    if (saved === undefined) return first;
    const wanted = this.candidates(shape, target).find(({ name }) => name === saved.variant);
    return wanted !== undefined && saved.source === this.sourceOf(shape, target) ? wanted.choice : first;
  }
}
