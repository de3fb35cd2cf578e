import { PolicyRegistry, defineStrategy, type LayerView } from "@winnow/kv-policies";
import { describe, expect, test } from "vitest";

import { loadModel } from "../model";
import { openBackend, type BackendName } from "../open-backend";
import { TINY } from "../testing/models";
import { NaiveDecoder } from "../testing/naive-decoder";
import { goldenIds } from "../testing/prompts";

const backends: readonly BackendName[] = process.env.WINNOW_NO_GPU === undefined ? ["cpu", "webgpu"] : ["cpu"];
const IDS = goldenIds("tiny", 40);

/** Largest difference that rounding on a device explains, as a share of the largest value. */
const TOLERANCE = 2e-3;

function expectClose(found: ArrayLike<number> | undefined, expected: ArrayLike<number>, what: string): void {
  const most = TOLERANCE * Math.max(...Array.from(expected, Math.abs));
  expect(found?.length, what).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs((found?.[i] ?? NaN) - (expected[i] ?? NaN)), `${what}, ${i}`).toBeLessThanOrEqual(most);
  }
}

describe.each(backends)("what plug-ins see of a prompt on %s", (name) => {
  test("is what a decoder in float64 computes", async () => {
    using model = await loadModel(TINY, { backend: await openBackend(name), kvType: "f32" });
    const { backend, decoder } = model.engine;
    const { queryHeads, kvHeads, headDim } = decoder.shape.heads;
    const { width } = decoder.shape;
    const perGroup = queryHeads / kvHeads;
    const layers: LayerView[] = [];
    const registry = new PolicyRegistry();
    registry.register(
      defineStrategy({
        name: "watcher",
        needs: ["hits", "outputNorm", "keys", "values", "queries"],
        generated: "keep",
        decide: (layer) => {
          layers.push(layer);
          return layer.heads.map(() => "full");
        },
      }),
    );
    using session = model.createSession({ policy: "watcher", registry });
    await session.read([{ ids: IDS, probe: null }]);

    const hits = layers.map(() => Array.from({ length: kvHeads }, () => new Float64Array(IDS.length)));
    const asked = layers.map(() => Array.from({ length: queryHeads }, (): Float64Array[] => []));
    const naive = await NaiveDecoder.of(model);
    naive.logits(IDS, IDS.length - 1, {
      sees: (_, __, row, column) => column <= row,
      onRow: (l, q, row, query, weights) => {
        if (row >= 4) asked[l]?.[q]?.push(query);
        const into = hits[l]?.[Math.floor(q / perGroup)];
        weights.forEach((weight, c) => {
          if (into !== undefined && weight * (row + 1) > 1.0001) into[c] = (into[c] ?? 0) + 1;
        });
      },
    });

    expect(layers).toHaveLength(model.config.layers);
    for (const { layer: l, heads } of layers) {
      const output = await backend.download(decoder.weights.layers[l]?.output.weight ?? decoder.weights.head);
      for (const [h, { columns, keys, values, queries, count }] of heads.entries()) {
        const what = `layer ${l}, head ${h}`;
        // A weight at the very mean may round to either side.
        const counted = hits[l]?.[h] ?? new Float64Array(0);
        const off = counted.reduce((sum, n, c) => sum + Math.abs(n - (columns.hits?.[c] ?? NaN)), 0);
        expect(off, what).toBeLessThanOrEqual(2);
        expect(counted.reduce((a, b) => a + b, 0)).toBeGreaterThan(IDS.length);
        expect(keys?.length).toBe(count * headDim);
        const norms = Array.from({ length: count }, (_, slot) => {
          let total = 0;
          for (let g = 0; g < perGroup; g++) {
            for (let i = 0; i < width; i++) {
              let sum = 0;
              for (let d = 0; d < headDim; d++) {
                const column = (h * perGroup + g) * headDim + d;
                sum += (output[i * queryHeads * headDim + column] ?? NaN) * (values?.[slot * headDim + d] ?? NaN);
              }
              total += Math.abs(sum);
            }
          }
          return total / perGroup;
        });
        expectClose(columns.outputNorm, norms, what);
        for (let g = 0; g < perGroup; g++) {
          const rows = asked[l]?.[h * perGroup + g] ?? [];
          expect(rows).toHaveLength(IDS.length - 4);
          const mean = Array.from(
            { length: headDim },
            (_, d) => rows.reduce((sum, q) => sum + (q[d] ?? NaN), 0) / rows.length,
          );
          expectClose(queries?.mean.subarray(g * headDim, (g + 1) * headDim), mean, what);
          const covariance = Array.from({ length: headDim ** 2 }, (_, cell) => {
            const [i, j] = [Math.floor(cell / headDim), cell % headDim];
            const products = rows.map((q) => ((q[i] ?? NaN) - (mean[i] ?? NaN)) * ((q[j] ?? NaN) - (mean[j] ?? NaN)));
            return products.reduce((a, b) => a + b, 0) / rows.length;
          });
          expectClose(queries?.covariance.subarray(g * headDim ** 2, (g + 1) * headDim ** 2), covariance, what);
        }
      }
    }
  });
});
