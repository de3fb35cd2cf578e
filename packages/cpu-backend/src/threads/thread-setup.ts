/** What the leading thread is told. */
export interface ThreadSetup {
  readonly threads: number;
}

export function isThreadSetup(value: unknown): value is ThreadSetup {
  return typeof value === "object" && value !== null && "threads" in value && typeof value.threads === "number";
}
