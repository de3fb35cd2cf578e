/**
 * The operations again, in float64 over nested lists: as slow and as plain as they can be, and sharing no line with
 * any backend. A vector is a list of numbers.
 */
export type Vector = readonly number[];

export function dot(a: Vector, b: Vector): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);
}

/** The rows of a matrix that lies in one list. */
export function unflatten(values: ArrayLike<number>, width: number): number[][] {
  const rows: number[][] = [];
  for (let start = 0; start < values.length; start += width) {
    rows.push(Array.from({ length: width }, (_, i) => values[start + i] ?? NaN));
  }
  return rows;
}

/** x · weightᵀ + bias. */
export function naiveProduct(x: readonly Vector[], weight: readonly Vector[], bias: Vector | null): number[][] {
  return x.map((row) => weight.map((output, o) => dot(row, output) + (bias?.[o] ?? 0)));
}

export function silu(value: number): number {
  return value / (1 + Math.exp(-value));
}

/** With the approximation by tanh (arXiv 1606.08415, section 2), as decoders that use it were trained. */
export function gelu(value: number): number {
  return 0.5 * value * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value * value * value)));
}

/** A function of the first half, times the second. */
export function naiveGate(row: Vector, gate = silu): number[] {
  const half = row.length / 2;
  return row.slice(0, half).map((value, i) => gate(value) * (row[half + i] ?? NaN));
}

export function naiveNorm(run: Vector, weight: Vector, epsilon: number): number[] {
  const mean = dot(run, run) / run.length;
  return run.map((value, i) => (value / Math.sqrt(mean + epsilon)) * (weight[i] ?? NaN));
}

/** Element i and element i + half of a head, turned as a complex number by the row's angle i. */
export function naiveRotation(head: Vector, angles: Vector): number[] {
  const half = head.length / 2;
  return head.map((value, i) => {
    const angle = angles[i % half] ?? NaN;
    const partner = (i < half ? head[i + half] : head[i - half]) ?? NaN;
    return value * Math.cos(angle) + (i < half ? -1 : 1) * partner * Math.sin(angle);
  });
}

export function naiveSoftmax(scores: Vector): number[] {
  const greatest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - greatest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** One query over the keys that it sees: its weights, and the weighted values; zeros where it sees none. */
export function naiveAttention(
  query: Vector,
  keys: readonly Vector[],
  values: readonly Vector[],
  scale: number,
  softCap = Infinity,
  seen: readonly boolean[] = keys.map(() => true),
): { readonly weights: number[]; readonly out: number[] } {
  const capped = (score: number): number => (softCap === Infinity ? score : softCap * Math.tanh(score / softCap));
  const scores = keys.map((key, j) => (seen[j] === true ? capped(scale * dot(query, key)) : -Infinity));
  const weights = seen.includes(true) ? naiveSoftmax(scores) : scores.map(() => 0);
  const out = query.map((_, d) => weights.reduce((sum, weight, j) => sum + weight * (values[j]?.[d] ?? NaN), 0));
  return { weights, out };
}

export function naiveLength(vector: Vector): number {
  return Math.sqrt(dot(vector, vector));
}

/** Cosine of each key with the mean of all keys; 0 where one of them has no length. */
export function naiveKeyDiff(keys: readonly Vector[]): number[] {
  const width = keys[0]?.length ?? 0;
  const mean = Array.from(
    { length: width },
    (_, d) => keys.reduce((sum, key) => sum + (key[d] ?? NaN), 0) / keys.length,
  );
  return keys.map((key) => {
    const lengths = naiveLength(key) * naiveLength(mean);
    return lengths === 0 ? 0 : dot(key, mean) / lengths;
  });
}
