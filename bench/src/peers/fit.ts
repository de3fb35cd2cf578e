/** y = at0 + slope · x. */
export interface Line {
  readonly at0: number;
  readonly slope: number;
}

/** The line with the least squares; NaN with fewer than two different x. */
export function fitLine(points: readonly { readonly x: number; readonly y: number }[]): Line {
  const mean = (of: (point: { readonly x: number; readonly y: number }) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const covariance = mean((point) => (point.x - x) * (point.y - y));
  const slope = covariance / mean((point) => (point.x - x) ** 2);
  return { at0: y - slope * x, slope };
}
