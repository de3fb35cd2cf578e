import { GpuError } from "./gpu-error";

/** The browser's own WebGPU, in a page or a worker. */
export function browserProvider(): Promise<GPU> {
  const navigator: unknown = Reflect.get(globalThis, "navigator");
  if (hasGpu(navigator)) return Promise.resolve(navigator.gpu);
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
