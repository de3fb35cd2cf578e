// Adds up what vitest's reports say, and fails when a test failed or none ran.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPORTS = fileURLToPath(new URL("../.reports", import.meta.url));

let passed = 0;
let failed = 0;
let skipped = 0;
for (const name of existsSync(REPORTS) ? readdirSync(REPORTS) : []) {
  if (!name.endsWith(".json")) continue;
  const report = JSON.parse(readFileSync(join(REPORTS, name), "utf8"));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  // A file that does not load, or whose preparation throws, fails without a test that does.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"),
  );
  failed += broken.length;
}
if (skipped > 0) console.log(`skipped: ${skipped}`);
console.log(`${passed} passed, ${failed} failed`);
if (passed === 0 || failed > 0) process.exit(1);
