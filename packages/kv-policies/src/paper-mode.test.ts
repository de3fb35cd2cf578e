import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { fastgen, type HeadView } from "./index";
import { anyLayer, viewsOf } from "./testing/arbitraries";

const CHAIN = [
  ["special"],
  ["special", "punctuation"],
  ["special", "punctuation", "frequent"],
  ["special", "punctuation", "frequent", "recent"],
  ["full"],
];
const RATIO = 0.3;

/** `keep` of the oracle (tools/goldens/oracle.py), line by line. */
function oracleKeep(atoms: readonly string[], head: HeadView, classes: readonly string[]): number[] {
  const pos = [...head.position];
  const mass = [...(head.columns.mass ?? [])];
  const m = pos.map(() => 0);
  for (const a of atoms) {
    if (a === "full") {
      m.fill(1);
    } else if (a === "recent") {
      pos.forEach((p, j) => {
        if (head.now - p < Math.ceil(RATIO * head.promptTokens)) m[j] = 1;
      });
    } else if (a === "frequent") {
      const order = [...pos.keys()].sort((i, j) => (mass[j] ?? 0) - (mass[i] ?? 0) || (pos[i] ?? 0) - (pos[j] ?? 0));
      for (const j of order.slice(0, Math.ceil(RATIO * head.length))) m[j] = 1;
    } else {
      pos.forEach((p, j) => {
        if (classes[p] === a) m[j] = 1;
      });
    }
  }
  return m;
}

describe("paper mode", () => {
  const chain = fastgen().candidates;

  test("the candidates stand in the paper's order, in canonical text", () => {
    expect(chain.map(({ text }) => text)).toEqual([
      "special",
      "special | punctuation",
      "special | punctuation | frequent(30%)",
      "special | punctuation | frequent(30%) | recent(30%)",
      "full",
    ]);
  });

  test("every candidate keeps what the oracle keeps, while the prompt is cut and while text is generated", () => {
    const numbers = anyLayer.map((layer) => ({
      ...layer,
      heads: layer.heads.map((head) => ({
        ...head,
        values: head.values.map((column) => column.map((v) => (Number.isFinite(v) ? v : 0))),
      })),
    }));
    fc.assert(
      fc.property(numbers, (layer) => {
        const names = ["special", "special", "punctuation", "punctuation"];
        const classes = layer.ids.map((id) => names[id] ?? "");
        for (const head of viewsOf(layer)) {
          chain.forEach((policy, i) => {
            expect([...policy.keep(head)], policy.text).toEqual(oracleKeep(CHAIN[i] ?? [], head, classes));
          });
        }
      }),
    );
  });

  test("budgets refer to all tokens read, windows to the prompt", () => {
    const length = 20;
    const head: HeadView = {
      ...(viewsOf({
        layer: 0,
        ids: Array<number>(length).fill(4),
        promptTokens: 10,
        heads: [{ kept: [], values: [] }],
      })[0] ?? fail()),
      // Ten positions have been evicted already.
      count: 10,
      position: Uint32Array.from({ length: 10 }, (_, i) => 2 * i),
      flags: new Uint32Array(10),
      columns: { mass: Float32Array.from({ length: 10 }, (_, i) => 10 - i) },
    };
    const keptBy = (i: number): number[] => [...head.position].filter((_, slot) => chain[i]?.keep(head)[slot] === 1);
    expect(keptBy(2)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(keptBy(3)).toEqual([0, 2, 4, 6, 8, 10, 18]);
  });
});

function fail(): never {
  throw new Error("no head");
}
