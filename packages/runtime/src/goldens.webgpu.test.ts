import { describe } from "vitest";

import { openBackend } from "./open-backend";
import { goldenSuite } from "./testing/golden-suite";

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined).each(["demo", "tiny"] as const)(
  "the %s model on WebGPU against the oracle",
  (name) => {
    goldenSuite(name, () => openBackend("webgpu"));
  },
);
