import { definePolicy, defineStatistic } from "../plugin";
import { top } from "../policy";

/** The weight that the newest row gives a position, averaged over the KV heads of the layer that still have it. */
export const layerLastMass = defineStatistic({
  name: "layerLastMass",
  description: "weight from the newest row, averaged over the layer's heads (TOVA, arXiv 2401.06104)",
  needs: ["lastMass"],
  compute: (head, layer) => {
    const sums = new Map<number, { sum: number; heads: number }>();
    for (const { count, position, columns } of layer) {
      for (let slot = 0; slot < count; slot++) {
        const at = position[slot] ?? 0;
        const { sum, heads } = sums.get(at) ?? { sum: 0, heads: 0 };
        sums.set(at, { sum: sum + (columns.lastMass?.[slot] ?? 0), heads: heads + 1 });
      }
    }
    return Float32Array.from(head.position.subarray(0, head.count), (at) => {
      const { sum, heads } = sums.get(at) ?? { sum: 0, heads: 1 };
      return sum / heads;
    });
  },
});

/**
 * At each step the tokens that the newest one attends to least are dropped, from all heads of a layer alike (TOVA,
 * arXiv 2401.06104, section 4.2).
 */
export const tova = definePolicy({
  name: "tova",
  source: "TOVA, arXiv 2401.06104, section 4.2",
  budget: 0.5,
  candidates: (x) => [top(layerLastMassScore, x)],
});

const layerLastMassScore = { op: "column", name: layerLastMass.name } as const;
