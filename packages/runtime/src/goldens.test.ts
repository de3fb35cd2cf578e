import { createCpuBackend } from "@winnow/core-tensor";
import { describe } from "vitest";

import { goldenSuite } from "./testing/golden-suite";

describe.each(["demo", "tiny"] as const)("the %s model on the CPU against the oracle", (name) => {
  goldenSuite(name, createCpuBackend);
});
