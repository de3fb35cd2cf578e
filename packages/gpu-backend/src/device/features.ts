/** What a device gets where its adapter offers it. No kernel may need one. */
export const OPTIONAL_FEATURES = [
  "shader-f16",
  "subgroups",
  "timestamp-query",
  "chromium-experimental-subgroup-matrix",
] as const;

export type OptionalFeature = (typeof OPTIONAL_FEATURES)[number];

/** The optional features that an adapter offers, less those that are not wanted. */
export function offeredFeatures(
  adapter: GPUAdapter,
  without: readonly OptionalFeature[] = [],
): readonly OptionalFeature[] {
  const offered: ReadonlySet<string> = adapter.features;
  const features = OPTIONAL_FEATURES.filter((name) => offered.has(name) && !without.includes(name));
  // A matrix is spread over a subgroup: without the one there is no use for the other.
  return features.includes("subgroups") ? features : features.filter((name) => !name.endsWith("subgroup-matrix"));
}
