import { slotsOf } from "../amount";
import { defineStrategy } from "../plugin";
import { besideWindow, OBSERVED_ROWS } from "./observation-window";
import { POOLED_WINDOW_MASS, pooledWindowMass } from "./snapkv";

/** How much less than the mean the last layer has: 1/β of it (arXiv 2406.02069, section 4.2). */
const BETA = 20;

/**
 * SnapKV's scores with budgets that fall from layer to layer, since attention spreads in the first layers and gathers in the
 * last (PyramidKV, arXiv 2406.02069, section 4): an arithmetic sequence whose mean is the amount.
 */
export const pyramidkv = defineStrategy({
  name: "pyramidkv",
  source: "PyramidKV, arXiv 2406.02069, section 4",
  needs: [pooledWindowMass.name],
  budget: 0.5,
  generated: "keep",
  decide: ({ layer, layers, heads }, x) =>
    heads.map(({ length }) => {
      const mean = slotsOf(x, length);
      const budget = layerBudget(mean, Math.max(0, length - OBSERVED_ROWS), layer, layers);
      return besideWindow(budget, POOLED_WINDOW_MASS, mean);
    }),
});

/**
 * Slots of one layer.
 *
 * @param mean of all layers.
 * @param most slots that there are; what the first layers cannot hold goes to the last.
 */
function layerBudget(mean: number, most: number, layer: number, layers: number): number {
  const wanted = 2 * mean - Math.floor(mean / BETA);
  const first = Math.min(wanted, most);
  const last = Math.max(0, 2 * mean - first);
  const step = layers > 1 ? (first - last) / (layers - 1) : 0;
  return Math.min(most, Math.round(layers > 1 ? first - step * layer : mean));
}
