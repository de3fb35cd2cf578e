import type { HelperSetup } from "../simd-engine";
import { WEB_HELPER } from "./helper-program";

/** Start a helper in a web worker. */
export function startWebHelper(setup: HelperSetup): void {
  const script = URL.createObjectURL(new Blob([WEB_HELPER], { type: "text/javascript" }));
  const worker = new Worker(script);
  worker.postMessage(setup);
  URL.revokeObjectURL(script);
}
