/**
 * The other half of attention: out[i][d] += Σⱼ p[i][j] · v[j][d]. Each sum goes on from what `out` holds and runs over
 * j in order, in float64, so that values which lie in several runs of memory add up as if they lay in one.
 *
 * @param p weights, `pStride` apart from one row i to the next
 * @param v values, `width` elements a column j, from `vStart` on
 */
export function weightedSum(
  p: Float64Array,
  pStart: number,
  pStride: number,
  rowCount: number,
  v: Float32Array,
  vStart: number,
  width: number,
  count: number,
  out: Float64Array,
  outStart: number,
): void {
  let i = 0;
  for (; i + 2 <= rowCount; i += 2) {
    const a = pStart + i * pStride;
    const b = a + pStride;
    let d = 0;
    for (; d + 4 <= width; d += 4) {
      const o = outStart + i * width + d;
      const o2 = o + width;
      let a0 = out[o] ?? 0;
      let a1 = out[o + 1] ?? 0;
      let a2 = out[o + 2] ?? 0;
      let a3 = out[o + 3] ?? 0;
      let b0 = out[o2] ?? 0;
      let b1 = out[o2 + 1] ?? 0;
      let b2 = out[o2 + 2] ?? 0;
      let b3 = out[o2 + 3] ?? 0;
      for (let j = 0, at = vStart + d; j < count; j++, at += width) {
        const w = p[a + j] ?? 0;
        const x = p[b + j] ?? 0;
        const v0 = v[at] ?? 0;
        const v1 = v[at + 1] ?? 0;
        const v2 = v[at + 2] ?? 0;
        const v3 = v[at + 3] ?? 0;
        a0 += w * v0;
        a1 += w * v1;
        a2 += w * v2;
        a3 += w * v3;
        b0 += x * v0;
        b1 += x * v1;
        b2 += x * v2;
        b3 += x * v3;
      }
      out[o] = a0;
      out[o + 1] = a1;
      out[o + 2] = a2;
      out[o + 3] = a3;
      out[o2] = b0;
      out[o2 + 1] = b1;
      out[o2 + 2] = b2;
      out[o2 + 3] = b3;
    }
    for (; d < width; d++) {
      addColumn(p, a, v, vStart + d, width, count, out, outStart + i * width + d);
      addColumn(p, b, v, vStart + d, width, count, out, outStart + (i + 1) * width + d);
    }
  }
  if (i < rowCount) {
    for (let d = 0; d < width; d++)
      addColumn(p, pStart + i * pStride, v, vStart + d, width, count, out, outStart + i * width + d);
  }
}

function addColumn(
  p: Float64Array,
  a: number,
  v: Float32Array,
  vStart: number,
  width: number,
  count: number,
  out: Float64Array,
  o: number,
): void {
  let sum = out[o] ?? 0;
  for (let j = 0, at = vStart; j < count; j++, at += width) sum += (p[a + j] ?? 0) * (v[at] ?? 0);
  out[o] = sum;
}
