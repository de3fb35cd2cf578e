import { readGoldens } from "./goldens";

/** So many token ids that a model's goldens read, one prompt after another. */
export function goldenIds(name: "demo" | "tiny", count: number): number[] {
  const ids = readGoldens(name).flatMap((golden) => golden.ids);
  if (ids.length < count) throw new Error(`the goldens of ${name} have ${ids.length} ids, not ${count}`);
  return ids.slice(0, count);
}
