export { difference, registerMatchers } from "./allclose";
export { backendSuite } from "./backend-suite";
export type { BackendSuiteOptions } from "./suite-context";
export { TOLERANCES, type Tolerance } from "./tolerances";
