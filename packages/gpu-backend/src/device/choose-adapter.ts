import { GpuError } from "./gpu-error";
import { softwareName } from "./software-adapter";

/**
 * The fastest adapter there is.
 *
 * @throws GpuError `no-adapter` where there is none, or only a software one and that is not wanted.
 */
export async function chooseAdapter(gpu: GPU, allowSoftware: boolean): Promise<GPUAdapter> {
  // No `forceFallbackAdapter` ever: Dawn then finds no llvmpipe.
  const adapter = (await gpu.requestAdapter({ powerPreference: "high-performance" })) ?? (await gpu.requestAdapter());
  if (adapter === null) {
    throw new GpuError(
      "no-adapter",
      "no WebGPU adapter was found; expected a GPU with a driver for Vulkan, Metal or Direct3D 12 " +
        "(on Linux the Vulkan loader as well, libvulkan.so.1); install one, or use the CPU backend",
    );
  }
  const software = softwareName(adapter.info);
  if (software === null || allowSoftware) return adapter;
  throw new GpuError(
    "no-adapter",
    `the only WebGPU adapter is ${software}, which computes on the CPU and more slowly than the CPU backend; ` +
      "use that, or ask for WebGPU by name to take it all the same",
  );
}
