import { PARTS, type Part, type Reproduction } from "../reproduction";
import { qualitySections } from "./quality-sections";
import type { Section } from "./section";
import { policiesSection, stabilitySection } from "./structure-sections";
import { latencySection, profilingSection } from "./time-sections";

/** Everything that was measured, in the paper's order, tables before figures. */
export function sectionsOf(reproduction: Reproduction): readonly Section[] {
  const { latency, profiling, policies, stability, parts } = reproduction;
  const measured: Readonly<Partial<Record<Part, Section>>> = {
    ...qualitySections(reproduction),
    ...(latency === null ? {} : { table2: latencySection(latency) }),
    ...(profiling === null ? {} : { table3: profilingSection(profiling) }),
    ...(policies === null ? {} : { figure3: policiesSection(policies) }),
    ...(stability === null ? {} : { figure4: stabilitySection(stability) }),
  };
  return PARTS.filter((part) => parts.includes(part)).flatMap((part) => measured[part] ?? []);
}
