/** The number of a workgroup in a grid of `flatGrid`. */
export const FLAT_WORKGROUP = `fn flat_workgroup(id: vec3u, count: vec3u) -> u32 {
  return id.x + id.y * count.x;
}`;
