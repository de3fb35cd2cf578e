/** What a shader reads at a time. */
export interface Vector {
  readonly type: "vec4f" | "vec2f" | "f32";
  readonly width: 4 | 2 | 1;
}

/** The widest vector that runs of these lengths divide into. */
export function vectorOf(...lengths: readonly number[]): Vector {
  if (lengths.every((length) => length % 4 === 0)) return { type: "vec4f", width: 4 };
  if (lengths.every((length) => length % 2 === 0)) return { type: "vec2f", width: 2 };
  return { type: "f32", width: 1 };
}
