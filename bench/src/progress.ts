/** Say on standard error what is measured now: it may take a while. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
