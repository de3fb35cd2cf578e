/** What a command line calls the shapes that can be measured. */
export const SHAPE_NAMES = ["demo", "1b", "8b"] as const;

export type ShapeName = (typeof SHAPE_NAMES)[number];

export function isShapeName(name: string): name is ShapeName {
  return SHAPE_NAMES.some((known) => known === name);
}
