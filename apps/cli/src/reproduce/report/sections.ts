import type { Reproduction } from "../reproduction";
import { qualitySections } from "./quality-sections";
import type { Section } from "./section";
import { policiesSection, stabilitySection } from "./structure-sections";
import { latencySection, profilingSection } from "./time-sections";

/** Everything that was measured, tables before figures. */
export function sectionsOf(reproduction: Reproduction): readonly Section[] {
  const { latency, profiling, policies, stability } = reproduction;
  return [
    ...qualitySections(reproduction),
    ...(latency === null ? [] : [latencySection(latency)]),
    ...(profiling === null ? [] : [profilingSection(profiling)]),
    ...(policies === null ? [] : [policiesSection(policies)]),
    ...(stability === null ? [] : [stabilitySection(stability)]),
  ].sort((a, b) => (titleOrder(a) < titleOrder(b) ? -1 : 1));
}

/** As the paper numbers them, its tables first. */
function titleOrder({ title }: Section): string {
  return title.startsWith("Table") ? `0 ${title}` : `1 ${title}`;
}
