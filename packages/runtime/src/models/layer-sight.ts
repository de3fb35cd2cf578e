import type { Family, WindowFields } from "./family";

/** What the rows of a layer see of those before them, and how they are rotated. */
export interface LayerSight {
  /** Positions that a row sees, itself included; null for all. */
  readonly window: number | null;
  /** `window`: by the base of layers that see one. */
  readonly rotation: "global" | "window" | "none";
}

/** What a configuration says of its layers. */
export interface LayerFields {
  readonly layers: number;
  /** Of the layers that see one; null where none does. */
  readonly window: number | null;
  readonly fields: WindowFields;
  /** Layer by layer; null where the family decides. */
  readonly windowed: readonly boolean[] | null;
  readonly rotated: readonly boolean[] | null;
}

/** What each layer of a model sees. */
export function layersOf(family: Family, { layers, window, fields, windowed, rotated }: LayerFields): LayerSight[] {
  return Array.from({ length: layers }, (_, layer) => {
    const seesWindow = windowed?.[layer] ?? family.seesWindow(layer, fields);
    const interval = family.unrotatedInterval;
    const isRotated = rotated?.[layer] ?? (interval === null || (layer + 1) % interval !== 0);
    return {
      window: seesWindow ? window : null,
      rotation: !isRotated ? "none" : seesWindow && family.windowTheta !== null ? "window" : "global",
    };
  });
}
