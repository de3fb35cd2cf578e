import { PolicyRegistry, definePolicy, formatPercent } from "@winnow/kv-policies";

import { cellsOf, type Cell } from "../eval/cells";
import { RATIOS, TABLE_1 } from "./paper";

/** What FastGen's candidates are made of, in the paper's order (section 3.2). */
const CLASSES = ["special", "punctuation", "frequent", "recent"] as const;
type Class = (typeof CLASSES)[number];

const TEXTS: Readonly<Record<Class, string>> = {
  special: "special",
  punctuation: "punctuation",
  frequent: "frequent(30%)",
  recent: "recent(30%)",
};

/** Each class added to those before it, and the full cache at the end. */
export function chainOf(classes: readonly Class[]): readonly string[] {
  const unions = classes.map((_, i) =>
    classes
      .slice(0, i + 1)
      .map((one) => TEXTS[one])
      .join(" | "),
  );
  return [...unions, "full"];
}

/** The chains of table 4, one class left out of each. */
export const WITHOUT = CLASSES.map((left) => ({
  name: `without-${left}`,
  classes: CLASSES.filter((one) => one !== left),
}));

/** The other order of table 5. */
export const PUNCTUATION_LAST = {
  name: "punctuation-last",
  classes: ["special", "frequent", "recent", "punctuation"] as const,
};

/** FastGen with its own shares of heavy hitters and of the window. */
export interface RatioPolicy {
  readonly frequent: number;
  readonly recent: number;
  /** As it would be typed. */
  readonly policy: string;
}

/** The points of figure 6's two curves. */
export const RATIO_POLICIES: readonly RatioPolicy[] = [
  ...RATIOS.map((x) => [x, 0.3] as const),
  ...RATIOS.map((x) => [0.3, x] as const),
].map(([frequent, recent]) => {
  const isUsual = frequent === 0.3 && recent === 0.3;
  const policy = isUsual ? "fastgen" : `fastgen(${formatPercent(frequent)}, ${formatPercent(recent)})`;
  return { frequent, recent, policy };
});

/** Which of the paper's comparisons of quality are asked for. */
export interface QualityParts {
  readonly table1: boolean;
  readonly table4: boolean;
  readonly table5: boolean;
  readonly figure6: boolean;
}

/**
 * Every policy whose quality is asked for, the full cache first; none where nothing is.
 *
 * @param recovery T of all but table 1.
 */
export function paperCells({ table1, table4, table5, figure6 }: QualityParts, recovery: number): readonly Cell[] {
  const registry = new PolicyRegistry();
  for (const { name, classes } of [...WITHOUT, PUNCTUATION_LAST])
    registry.register(definePolicy({ name, threshold: recovery, candidates: () => chainOf(classes) }));
  const recoveries = table1 ? TABLE_1.map((one) => one.recovery) : [];
  const others = [
    ...(table4 ? WITHOUT.map(({ name }) => name) : []),
    ...(table5 ? [PUNCTUATION_LAST.name] : []),
    ...(figure6 ? RATIO_POLICIES.map(({ policy }) => policy) : []),
  ];
  const all = [...new Set([...recoveries, ...(others.length === 0 ? [] : [recovery])])].sort();
  if (all.length === 0) return [];
  const at = (held: number) => ({ target: null, recovery: held }) as const;
  return [
    ...cellsOf("fastgen", all.map(at), registry),
    ...cellsOf(others.filter((name) => name !== "fastgen").join(), [at(recovery)], registry).slice(1),
  ];
}
