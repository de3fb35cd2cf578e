import type { HelperSetup } from "../simd-engine";
import { WEB_HELPER } from "./helper-program";

/** Start a helper in a web worker; false where a page's policy allows none. */
export function startWebHelper(setup: HelperSetup): boolean {
  const script = URL.createObjectURL(new Blob([WEB_HELPER], { type: "text/javascript" }));
  try {
    new Worker(script).postMessage(setup);
    return true;
  } catch {
    return false;
  } finally {
    URL.revokeObjectURL(script);
  }
}
