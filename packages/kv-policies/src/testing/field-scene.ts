import fc from "fast-check";

import { TokenClasses, columnsNeeded, defaultRegistry, resolvePolicy, type HeadView, type LayerView } from "../index";
import { VOCABULARY } from "./vocabulary";

const HEAD_DIM = 4;
const GROUP = 2;
const classes = new TokenClasses(VOCABULARY);

export interface FieldScene {
  readonly length: number;
  /** By layer, with everything that the field's policies read of a prompt that was read whole. */
  readonly layers: readonly LayerView[];
}

/** Numbers in [0, 1) from a seed; a quarter of them are 0, so that there are ties. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % 4 === 0 ? 0 : Math.fround(state / 2 ** 32);
  };
}

export const fieldScenes: fc.Arbitrary<FieldScene> = fc
  .record({
    length: fc.integer({ min: 1, max: 90 }),
    layers: fc.integer({ min: 1, max: 4 }),
    heads: fc.integer({ min: 1, max: 3 }),
    seed: fc.integer({ min: 1 }),
  })
  .map(({ length, layers, heads, seed }) => {
    const next = numbers(seed);
    const floats = (count: number, spread = 1): Float32Array =>
      Float32Array.from({ length: count }, () => next() * spread);
    const signed = (count: number): Float32Array => Float32Array.from({ length: count }, () => next() - 0.5);
    const head = (row: number): HeadView => ({
      row,
      count: length,
      now: length - 1,
      promptTokens: length,
      length,
      classes,
      position: Uint32Array.from({ length }, (_, i) => i),
      flags: new Uint32Array(length),
      columns: {
        mass: floats(length, 3),
        maxWeight: floats(length),
        windowMass: floats(length, 2),
        lastMass: floats(length),
        hits: Float32Array.from({ length }, () => Math.floor(next() * 9)),
        keyNorm: floats(length),
        valueNorm: floats(length),
        keyDiff: signed(length),
        outputNorm: floats(length, 5),
      },
      keys: signed(length * HEAD_DIM),
      values: signed(length * HEAD_DIM),
      queries: {
        heads: GROUP,
        headDim: HEAD_DIM,
        scale: 0.5,
        mean: signed(GROUP * HEAD_DIM),
        covariance: signed(GROUP * HEAD_DIM * HEAD_DIM),
        rotation: (position) =>
          Float32Array.from({ length: HEAD_DIM }, (_, d) =>
            d < HEAD_DIM / 2 ? Math.cos(position / (d + 2)) : Math.sin(position / (d - HEAD_DIM / 2 + 2)),
          ),
      },
    });
    return {
      length,
      layers: Array.from({ length: layers }, (_, layer) => ({
        layer,
        layers,
        recovery: null,
        heads: Array.from({ length: heads }, (__, h) => head(layer * heads + h)),
      })),
    };
  });

/** A layer with the columns that host statistics give of it. */
export function withStatistics(layer: LayerView, names: readonly string[]): LayerView {
  const statistics = defaultRegistry.computed(names);
  const heads = layer.heads.map((head) => ({
    ...head,
    columns: {
      ...head.columns,
      ...Object.fromEntries(statistics.map((one) => [one.name, one.compute(head, layer.heads)])),
    },
  }));
  return { ...layer, heads };
}

/** Positions that each head keeps by a policy's text, by layer. */
export function keptBy(text: string, { layers }: FieldScene): number[][][] {
  const resolved = resolvePolicy(text);
  if (resolved.kind === "strategy") {
    const views = layers.map((layer) => withStatistics(layer, resolved.strategy.needs));
    return resolved.strategy
      .decideModel({ layers: views, recovery: null })
      .map((policies, l) => policies.map((policy, h) => positionsOf(policy.keep(...placed(views[l], h)))));
  }
  const [policy] = resolved.preset.candidates;
  if (policy === undefined) throw new Error(`${text} has no candidate`);
  return layers.map((layer) => {
    const view = withStatistics(layer, columnsNeeded(policy).custom);
    return view.heads.map((_, h) => positionsOf(policy.keep(...placed(view, h))));
  });
}

function placed(layer: LayerView | undefined, h: number): [HeadView, readonly HeadView[]] {
  const head = layer?.heads[h];
  if (layer === undefined || head === undefined) throw new Error("no such head");
  return [head, layer.heads];
}

const positionsOf = (kept: Uint8Array): number[] => [...kept].flatMap((bit, slot) => (bit === 1 ? [slot] : []));
