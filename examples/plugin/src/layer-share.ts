import { defineStrategy, type HeadView } from "@winnow/kv-policies";

/** What each slot's greatest weight on the probe's rows was. */
const weights = ({ columns, count }: HeadView): number[] => [...(columns.maxWeight?.subarray(0, count) ?? [])];

/**
 * The heads of a layer share a budget, which goes where the greatest weights of the probe's rows are; each layer has the
 * same. (KVzip shares one over all layers.)
 *
 * @example winnow run --plugin examples/plugin/dist/layer-share.js --policy "layer-share(30%)" …
 */
export default defineStrategy({
  name: "layer-share",
  needs: ["maxWeight"],
  rows: "probe",
  generated: "keep",
  budget: 0.5,
  decide: ({ heads }, x) => {
    const slots = heads.reduce((sum, { length }) => sum + (x.kind === "count" ? x.value : x.value * length), 0);
    const sorted = heads.flatMap(weights).sort((a, b) => b - a);
    const least = sorted[Math.max(0, Math.floor(slots) - 1)] ?? 0;
    return heads.map((head) => {
      const own = weights(head).filter((weight) => weight >= least).length;
      return own === 0 ? "special" : `special | top(maxWeight, ${own})`;
    });
  },
});
