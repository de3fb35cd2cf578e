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
  for (; i + 3 <= xCount; i += 3) {
    dotsOfThree(
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
  for (; i < xCount; i++) {
    dotsOfOne(x, xStart + i * xStride, w, wStart, wStride, wCount, depth, out, outStart + i * outStride);
  }
}

/** Three rows with three vectors at a time: nine sums and six factors are what fits in 16 registers. */
function dotsOfThree(
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
  const c = b + xStride;
  let j = 0;
  for (; j + 3 <= wCount; j += 3) {
    const p = wStart + j * wStride;
    const q = p + wStride;
    const r = q + wStride;
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let b0 = 0;
    let b1 = 0;
    let b2 = 0;
    let c0 = 0;
    let c1 = 0;
    let c2 = 0;
    for (let k = 0; k < depth; k++) {
      const t = x[a + k] ?? 0;
      const u = x[b + k] ?? 0;
      const v = x[c + k] ?? 0;
      const w0 = w[p + k] ?? 0;
      const w1 = w[q + k] ?? 0;
      const w2 = w[r + k] ?? 0;
      a0 += t * w0;
      a1 += t * w1;
      a2 += t * w2;
      b0 += u * w0;
      b1 += u * w1;
      b2 += u * w2;
      c0 += v * w0;
      c1 += v * w1;
      c2 += v * w2;
    }
    let o = outStart + j;
    out[o] = a0;
    out[o + 1] = a1;
    out[o + 2] = a2;
    o += outStride;
    out[o] = b0;
    out[o + 1] = b1;
    out[o + 2] = b2;
    o += outStride;
    out[o] = c0;
    out[o + 1] = c1;
    out[o + 2] = c2;
  }
  for (; j < wCount; j++) {
    const p = wStart + j * wStride;
    out[outStart + j] = dot(x, a, w, p, depth);
    out[outStart + outStride + j] = dot(x, b, w, p, depth);
    out[outStart + 2 * outStride + j] = dot(x, c, w, p, depth);
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
