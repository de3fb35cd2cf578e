import { GpuError } from "./gpu-error";
import type { ProvidedGpu } from "./gpu-provider";

/** The browser's own WebGPU, in a page or a worker. */
export function browserProvider(): Promise<ProvidedGpu> {
  const navigator: unknown = Reflect.get(globalThis, "navigator");
  if (hasGpu(navigator)) return Promise.resolve({ webgpu: navigator.gpu, implementation: agentOf(navigator) });
  return Promise.reject(
    new GpuError(
      "no-adapter",
      "this browser has no navigator.gpu; expected one with WebGPU, and a page from https or localhost",
    ),
  );
}

function hasGpu(navigator: unknown): navigator is NavigatorGPU {
  return typeof navigator === "object" && navigator !== null && "gpu" in navigator && typeof navigator.gpu === "object";
}

/** The browser with its version, as it names itself. */
function agentOf(navigator: object): string {
  return "userAgent" in navigator && typeof navigator.userAgent === "string" ? navigator.userAgent : "unnamed browser";
}
