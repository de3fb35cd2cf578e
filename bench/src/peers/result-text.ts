const DIGITS = 5;

/** A result as JSON; its times are no better than some digits. */
export function resultText(result: object): string {
  const rounded = (_: string, value: unknown): unknown =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  return `${JSON.stringify(result, rounded, 1)}\n`;
}
