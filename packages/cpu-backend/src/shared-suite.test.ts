import { QUANTISED_TYPES } from "@winnow/core-tensor";

import { backendSuite } from "../../core-tensor/src/testing";
import { createSimdBackend } from "./node";
import { createPlainBackend } from "./testing/plain-backend";

const options = { roundingTypes: QUANTISED_TYPES } as const;

backendSuite("simd, one thread", () => createSimdBackend({ threads: 1 }), options);
backendSuite("simd, three threads", () => createSimdBackend({ threads: 3 }), options);
backendSuite("simd without relaxed instructions", () => createPlainBackend(2), options);
backendSuite("simd, the cache in q8", () => createSimdBackend({ threads: 2 }), { ...options, kvType: "q8" });
backendSuite("simd, the cache in q4", () => createSimdBackend({ threads: 2 }), { ...options, kvType: "q4" });
