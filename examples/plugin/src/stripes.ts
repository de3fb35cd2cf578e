import { defineStrategy, type HeadView } from "@winnow/kv-policies";

/** What each slot's greatest weight on the probe's rows was. */
const weights = ({ columns, count }: HeadView): number[] => [...(columns.maxWeight?.subarray(0, count) ?? [])];

/**
 * No token is dropped from every head: each is kept by one head in `period`, whatever it says. No statistics, and no budget.
 *
 * @example winnow run --plugin examples/plugin/dist/stripes.js --policy "stripes(2)" …
 */
export const stripes = defineStrategy({
  name: "stripes",
  needs: [],
  generated: "keep",
  decide: ({ layer, heads }, ...[period]) => {
    const every = Math.max(1, Math.round(period?.value ?? 2));
    return heads.map((_, head) => `special | every(${every}, ${(layer * heads.length + head) % every}) | recent(4)`);
  },
});

/**
 * KVzip's budget over all heads, less what it takes that one head of each layer keeps every L-th token, where L is the number
 * of layers: so no token is dropped from every head.
 *
 * @example winnow run --plugin examples/plugin/dist/stripes.js --policy "covered(30%)" …
 */
export const covered = defineStrategy({
  name: "covered",
  scope: "model",
  needs: ["maxWeight"],
  rows: "probe",
  generated: "keep",
  budget: 0.5,
  decide: ({ layers }, x) => {
    const heads = layers.flatMap((layer) => layer.heads);
    const slots = heads.reduce((sum, { length }) => sum + (x.kind === "count" ? x.value : x.value * length), 0);
    const stripe = layers.reduce((sum, { heads: [first] }) => sum + (first?.count ?? 0) / layers.length, 0);
    const sorted = heads.flatMap(weights).sort((a, b) => b - a);
    const least = sorted[Math.max(0, Math.floor(slots - stripe) - 1)] ?? 0;
    return layers.map(({ heads: own }, layer) =>
      own.map((head, h) => {
        const count = weights(head).filter((weight) => weight >= least).length;
        const score = count === 0 ? "special" : `special | top(maxWeight, ${count})`;
        return h === layer % own.length ? `${score} | every(${layers.length}, ${layer})` : score;
      }),
    );
  },
});
