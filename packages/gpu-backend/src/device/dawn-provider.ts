import { createRequire } from "node:module";

import { GpuError } from "./gpu-error";
import type { ProvidedGpu } from "./gpu-provider";
import { PacedPolling } from "./paced-polling";
import { hasVulkanLoader } from "./vulkan-loader";

/** Flags of Dawn, which it takes when it starts and not later. */
const DAWN_FLAGS = [
  // Subgroup matrices are no standard yet, and NVIDIA's f16 is not yet trusted by default.
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
  // Timestamps are rounded to 0.1 ms against spying by web pages: longer than most kernels run.
  "disable-dawn-features=timestamp_quantization",
];

/** Held here as long as the process lives: Dawn must not be collected while a device of its own exists. */
let instance: GPU | null = null;

/**
 * Dawn, the WebGPU of Chromium, loaded from npm's `webgpu`.
 *
 * @throws GpuError `no-adapter`
 */
export async function dawnProvider(): Promise<ProvidedGpu> {
  if (process.platform === "linux" && !hasVulkanLoader()) {
    throw new GpuError(
      "no-adapter",
      "no WebGPU adapter: the Vulkan loader libvulkan.so.1 is not installed; install it (on Debian the package " +
        "libvulkan1) with a driver for your GPU, or use the CPU backend",
    );
  }
  try {
    const { create, globals } = await import("@webgpu/dawn");
    if (instance === null) {
      new PacedPolling().pace(globals);
      instance = create(DAWN_FLAGS);
    }
    return { webgpu: instance, implementation: `Dawn of webgpu ${dawnVersion()}` };
  } catch (error) {
    throw new GpuError(
      "no-adapter",
      `Dawn does not load on ${process.platform}-${process.arch}: ${String(error)}; ` +
        "expected the npm package webgpu with a build for this platform; use the CPU backend here",
      { cause: error },
    );
  }
}

/** The installed version of npm's `webgpu`; empty where it does not tell. */
function dawnVersion(): string {
  try {
    const manifest: unknown = createRequire(import.meta.url)("@webgpu/dawn/package.json");
    const version =
      typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : null;
    return typeof version === "string" ? version : "";
  } catch {
    return "";
  }
}
