import { slotsOf } from "../amount";
import { defineStrategy } from "../plugin";
import { full, recent, sink, union } from "../policy";

/** What a layer with a small window has of the mean, where the others are not full. */
const SMALL = 0.25;
const SINKS = 4;

/**
 * A window for each layer, small in every second one and large in the others, as models are built that alternate the two
 * (Gemma 2, arXiv 2408.00118, section 2): every head keeps the first four tokens and its layer's window.
 */
export const layerWindow = defineStrategy({
  name: "layer-window",
  source: "alternating windows, as in Gemma 2, arXiv 2408.00118, section 2",
  needs: [],
  budget: 0.5,
  decide: ({ layer, heads }, x) =>
    heads.map(({ length }) => {
      const mean = slotsOf(x, length);
      const large = Math.min(length, Math.round((2 - SMALL) * mean));
      const window = layer % 2 === 1 ? large : 2 * mean - large;
      return window >= length ? full() : union(sink(SINKS), recent(Math.max(1, window)));
    }),
});
