import * as fc from "fast-check";

import type { AttendGroup, AttendSpec, HeadShape, KvScratch } from "../backend";
import { rows, type DeviceTensor } from "../device-tensor";
import { at, randoms } from "./fixture";
import { naiveAttention, unflatten } from "./naive";
import { PagedFixture, randomSlots, scratchOf, type Slot } from "./paged-fixture";
import type { SuiteContext } from "./suite-context";

/** Rows over kept slots (ragged by head), scratch rows before them, and themselves. */
export interface Scene {
  readonly heads: HeadShape;
  readonly scale: number;
  readonly kept: readonly (readonly Slot[])[];
  /** Scratch rows of each KV head: those of the context, then the group's own. */
  readonly fresh: readonly (readonly Slot[])[];
  readonly context: number;
  readonly count: number;
  readonly qkv: Float32Array;
  readonly seed: number;
  readonly softCap?: number;
  /** With the position of the first row. */
  readonly window?: { readonly size: number; readonly position: number };
}

export const scenesOf = ({ halves }: SuiteContext): fc.Arbitrary<Scene> =>
  fc
    .record({
      kvHeads: fc.integer({ min: 1, max: 3 }),
      perGroup: fc.integer({ min: 1, max: 3 }),
      half: halves,
      kept: fc.array(fc.integer({ min: 0, max: 21 }), { minLength: 3, maxLength: 3 }),
      context: fc.integer({ min: 0, max: 12 }),
      count: fc.integer({ min: 1, max: 19 }),
      seed: fc.integer({ min: 1, max: 1e6 }),
    })
    .map(({ kvHeads, perGroup, half, kept, context, count, seed }) => {
      const heads = { queryHeads: kvHeads * perGroup, kvHeads, headDim: 2 * half };
      return {
        heads,
        scale: 2,
        kept: Array.from({ length: kvHeads }, (_, head) => randomSlots(seed + head, at(kept, head), heads.headDim)),
        fresh: Array.from({ length: kvHeads }, (_, head) =>
          randomSlots(seed + 10 + head, context + count, heads.headDim),
        ),
        context,
        count,
        qkv: randoms(seed + 20, count * (heads.queryHeads + 2 * kvHeads) * heads.headDim),
        seed,
      };
    });

/** Weights and output of a row and query head, over the head's kept slots and the scratch rows it sees. */
export function naive(scene: Scene, row: number, queryHead: number): { weights: number[]; out: number[] } {
  const { heads, kept, fresh, context, qkv, scale } = scene;
  const head = Math.floor(queryHead / (heads.queryHeads / heads.kvHeads));
  const { softCap, window } = scene;
  const before = at(kept, head).map((slot) => ({ ...slot, distance: slot.position - (window?.position ?? 0) }));
  const slots = [
    ...before,
    ...at(fresh, head)
      .slice(0, context + row + 1)
      .map((slot, i) => ({ ...slot, distance: i - context })),
  ];
  const seen = ({ distance }: (typeof slots)[number]): boolean => window === undefined || row - distance < window.size;
  const query = at(unflatten(qkv, heads.headDim), row * (heads.queryHeads + 2 * heads.kvHeads) + queryHead);
  return naiveAttention(
    query,
    slots.map((slot) => slot.key),
    slots.map((slot) => slot.value),
    scale,
    softCap,
    slots.map(seen),
  );
}

/** A scene on the device, with shorthands for attending parts of it. */
export class Stage {
  readonly cache: PagedFixture;
  readonly scratch: KvScratch;
  readonly qkv: DeviceTensor;
  readonly out: DeviceTensor;

  constructor(
    private readonly context: SuiteContext,
    readonly scene: Scene,
  ) {
    const { fixture } = context;
    const { heads, kept, fresh, count, qkv, seed } = scene;
    const { headDim, queryHeads, kvHeads } = heads;
    // A head stores positions where they are not the slots' own numbers.
    const gaps = (of: readonly Slot[]): boolean => of.some(({ position }, slot) => position !== slot);
    const slots = kept.map((of) => ({ slots: of, columns: gaps(of) ? (["position"] as const) : [] }));
    this.cache = new PagedFixture(fixture, slots, { headDim, pageSlots: 8, capacity: 64, seed });
    this.scratch = scratchOf(fixture, fresh, headDim);
    this.qkv = fixture.f32([count, (queryHeads + 2 * kvHeads) * headDim], qkv);
    this.out = fixture.f32([count, queryHeads * headDim]);
  }

  group(start: number, count: number): AttendGroup {
    return {
      start: 0,
      count,
      paged: { kv: this.cache.kv, appended: 0 },
      context: { scratch: this.scratch, start: 0, count: this.scene.context + start },
      own: { scratch: this.scratch, start: this.scene.context + start },
      ...(this.scene.window === undefined ? {} : { position: this.scene.window.position + start }),
    };
  }

  /** Attend rows start .. start + count of the scene. */
  attend(start = 0, count = this.scene.count, more: Partial<AttendSpec> = {}): void {
    const { heads, scale } = this.scene;
    this.context.backend.attend({
      heads,
      scale,
      qkv: rows(this.qkv, start, count),
      out: rows(this.out, start, count),
      groups: [this.group(start, count)],
      ...(this.scene.softCap === undefined ? {} : { softCap: this.scene.softCap }),
      ...(this.scene.window === undefined ? {} : { window: this.scene.window.size }),
      ...more,
    });
  }

  read(): Promise<number[]> {
    return this.context.fixture.read(this.out);
  }
}

/** What `of` says of every row and query head, as the output has it. */
export function all({ heads, count }: Scene, of: (row: number, queryHead: number) => number[]): number[] {
  return Array.from({ length: count * heads.queryHeads }, (_, i) =>
    of(Math.floor(i / heads.queryHeads), i % heads.queryHeads),
  ).flat();
}
