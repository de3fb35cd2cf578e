// Adds up what vitest's reports say, and fails when nothing ran.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPORTS = fileURLToPath(new URL("../.reports", import.meta.url));
const total = { passed: 0, failed: 0, skipped: 0 };
for (const file of readdirSync(REPORTS).filter((name) => name.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(REPORTS, file), "utf8"));
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  total.skipped += report.numPendingTests + report.numTodoTests;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
if (total.passed === 0 || total.failed > 0) process.exit(1);
