import { createCpuBackend } from "@winnow/core-tensor";
import { createSimdBackend } from "@winnow/cpu-backend";
import { describe } from "vitest";

import { goldenSuite } from "./testing/golden-suite";

describe.each(["demo", "tiny"] as const)("the %s model on the reference against the oracle", (name) => {
  goldenSuite(name, createCpuBackend);
});

describe.each(["demo", "tiny"] as const)("the %s model on the CPU against the oracle", (name) => {
  goldenSuite(name, () => createSimdBackend({ threads: 2 }));
});
