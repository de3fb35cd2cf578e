import { describe } from "vitest";

import type { Backend } from "../backend";
import { registerMatchers } from "./allclose";
import { SuiteContext, type BackendSuiteOptions } from "./suite-context";
import { appendSuite } from "./suite/append.suite";
import { attendRecordSuite } from "./suite/attend-record.suite";
import { attendWindowSuite } from "./suite/attend-window.suite";
import { attendSuite } from "./suite/attend.suite";
import { denseSuite } from "./suite/dense.suite";
import { lastingSuite } from "./suite/lasting.suite";
import { memorySuite } from "./suite/memory.suite";
import { quantisedSuite } from "./suite/quantised.suite";
import { sampleSuite } from "./suite/sample.suite";
import { selectSuite } from "./suite/select.suite";
import { slotsSuite } from "./suite/slots.suite";
import { weighSuite } from "./suite/weigh.suite";

const PARTS = {
  memory: memorySuite,
  dense: denseSuite,
  quantised: quantisedSuite,
  append: appendSuite,
  attend: attendSuite,
  "attend, recording": attendRecordSuite,
  "attend, in a window": attendWindowSuite,
  slots: slotsSuite,
  select: selectSuite,
  weigh: weighSuite,
  sample: sampleSuite,
  lasting: lastingSuite,
};

/**
 * The tests that every backend has to pass, for vitest: each operation over generated shapes against a plain float64
 * reference, and the laws that hold between operations.
 *
 * @param makeBackend called once for each part of the suite; the suite disposes what it gets.
 * @example backendSuite("my backend", () => createMyBackend());
 */
export function backendSuite(
  name: string,
  makeBackend: () => Backend | Promise<Backend>,
  options: BackendSuiteOptions = {},
): void {
  registerMatchers();
  for (const [part, suite] of Object.entries(PARTS)) {
    describe(`${name}: ${part}`, () => {
      suite(new SuiteContext(makeBackend, options));
    });
  }
}
