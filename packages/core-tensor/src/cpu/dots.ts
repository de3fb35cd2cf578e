/**
 * The inner kernel of every product: out[i][j] = Σₖ x[i][k] · w[j][k], for vectors that lie `stride` elements
 * apart. Each sum runs over k in order, in float64, whatever the tile it is computed in; so a result depends on
 * its two vectors alone, and never on how many others are computed beside it.
 *
 * JavaScript numbers are doubles: accumulating in f32 would mean a rounding after each operation, and half the speed.
 */
export function dots(
  x: Float32Array,
  xStart: number,
  xStride: number,
  xCount: number,
  w: Float32Array,
  wStart: number,
  wStride: number,
  wCount: number,
  depth: number,
  out: Float64Array,
  outStart: number,
  outStride: number,
): void {
  let i = 0;
  for (; i + 2 <= xCount; i += 2) {
    dotsOfTwo(
      x,
      xStart + i * xStride,
      xStride,
      w,
      wStart,
      wStride,
      wCount,
      depth,
      out,
      outStart + i * outStride,
      outStride,
    );
  }
  if (i < xCount) dotsOfOne(x, xStart + i * xStride, w, wStart, wStride, wCount, depth, out, outStart + i * outStride);
}

function dotsOfTwo(
  x: Float32Array,
  a: number,
  xStride: number,
  w: Float32Array,
  wStart: number,
  wStride: number,
  wCount: number,
  depth: number,
  out: Float64Array,
  outStart: number,
  outStride: number,
): void {
  const b = a + xStride;
  let j = 0;
  for (; j + 4 <= wCount; j += 4) {
    const p = wStart + j * wStride;
    const q = p + wStride;
    const r = q + wStride;
    const s = r + wStride;
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let a3 = 0;
    let b0 = 0;
    let b1 = 0;
    let b2 = 0;
    let b3 = 0;
    for (let k = 0; k < depth; k++) {
      const u = x[a + k] ?? 0;
      const v = x[b + k] ?? 0;
      const w0 = w[p + k] ?? 0;
      const w1 = w[q + k] ?? 0;
      const w2 = w[r + k] ?? 0;
      const w3 = w[s + k] ?? 0;
      a0 += u * w0;
      a1 += u * w1;
      a2 += u * w2;
      a3 += u * w3;
      b0 += v * w0;
      b1 += v * w1;
      b2 += v * w2;
      b3 += v * w3;
    }
    const o = outStart + j;
    out[o] = a0;
    out[o + 1] = a1;
    out[o + 2] = a2;
    out[o + 3] = a3;
    out[o + outStride] = b0;
    out[o + outStride + 1] = b1;
    out[o + outStride + 2] = b2;
    out[o + outStride + 3] = b3;
  }
  for (; j < wCount; j++) {
    const p = wStart + j * wStride;
    out[outStart + j] = dot(x, a, w, p, depth);
    out[outStart + outStride + j] = dot(x, b, w, p, depth);
  }
}

function dotsOfOne(
  x: Float32Array,
  a: number,
  w: Float32Array,
  wStart: number,
  wStride: number,
  wCount: number,
  depth: number,
  out: Float64Array,
  outStart: number,
): void {
  let j = 0;
  for (; j + 4 <= wCount; j += 4) {
    const p = wStart + j * wStride;
    const q = p + wStride;
    const r = q + wStride;
    const s = r + wStride;
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let a3 = 0;
    let k = 0;
    // Two steps a turn: with one row, the loop's own work is a good part of it.
    for (; k + 2 <= depth; k += 2) {
      const u = x[a + k] ?? 0;
      const v = x[a + k + 1] ?? 0;
      a0 += u * (w[p + k] ?? 0);
      a1 += u * (w[q + k] ?? 0);
      a2 += u * (w[r + k] ?? 0);
      a3 += u * (w[s + k] ?? 0);
      a0 += v * (w[p + k + 1] ?? 0);
      a1 += v * (w[q + k + 1] ?? 0);
      a2 += v * (w[r + k + 1] ?? 0);
      a3 += v * (w[s + k + 1] ?? 0);
    }
    if (k < depth) {
      const u = x[a + k] ?? 0;
      a0 += u * (w[p + k] ?? 0);
      a1 += u * (w[q + k] ?? 0);
      a2 += u * (w[r + k] ?? 0);
      a3 += u * (w[s + k] ?? 0);
    }
    const o = outStart + j;
    out[o] = a0;
    out[o + 1] = a1;
    out[o + 2] = a2;
    out[o + 3] = a3;
  }
  for (; j < wCount; j++) out[outStart + j] = dot(x, a, w, wStart + j * wStride, depth);
}

function dot(x: Float32Array, a: number, w: Float32Array, p: number, depth: number): number {
  let sum = 0;
  for (let k = 0; k < depth; k++) sum += (x[a + k] ?? 0) * (w[p + k] ?? 0);
  return sum;
}
