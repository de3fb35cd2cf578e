import { ShaderStage } from "../device/flags";
import type { GpuFailure } from "../device/gpu-error";
import { GpuError } from "../device/gpu-error";
import type { Gpu } from "../device/gpu";
import type { BindingKind, Kernel } from "./kernel";

/** Kernels with the same kinds of bindings share a layout, and so their bind groups. */
export interface BindingLayout {
  readonly id: number;
  readonly handle: GPUBindGroupLayout;
}

export interface CachedPipeline {
  readonly handle: GPUComputePipeline;
  readonly layout: BindingLayout;
  /** Whether the device has refused it. */
  failed: boolean;
}

const BUFFER_LAYOUTS: Readonly<Record<BindingKind, GPUBufferBindingLayout>> = {
  params: { type: "uniform", hasDynamicOffset: true },
  read: { type: "read-only-storage" },
  write: { type: "storage" },
  data: { type: "read-only-storage", hasDynamicOffset: true },
  fault: { type: "storage" },
};

/** Compiled kernels, by their WGSL and constants. */
export class PipelineCache {
  readonly #gpu: Gpu;
  readonly #byKernel = new WeakMap<Kernel, CachedPipeline>();
  readonly #byText = new Map<string, CachedPipeline>();
  readonly #layouts = new Map<string, { readonly binding: BindingLayout; readonly pipeline: GPUPipelineLayout }>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Kernels compiled so far. */
  get size(): number {
    return this.#byText.size;
  }

  /**
   * The kernel's pipeline, compiled on first use. WGSL that does not compile is told at the next `flush` or `download`.
   *
   * @throws GpuError `limit` when the kernel binds more storage buffers than the adapter allows.
   */
  get(kernel: Kernel): CachedPipeline {
    const known = this.#byKernel.get(kernel);
    if (known !== undefined) return known;
    const key = `${kernel.wgsl}\n${JSON.stringify(kernel.constants ?? {})}`;
    const pipeline = this.#byText.get(key) ?? this.#compile(kernel, key);
    this.#byKernel.set(kernel, pipeline);
    return pipeline;
  }

  #compile(kernel: Kernel, key: string): CachedPipeline {
    const { label, wgsl, constants = {} } = kernel;
    const { binding, pipeline } = this.#layout(kernel);
    const { device, failures } = this.#gpu;
    let shader: GPUShaderModule | null = null;
    let made: CachedPipeline | null = null;
    const explain = (failure: GpuFailure, message: string): Promise<GpuError> => {
      // Not kept: whoever tries again should hear the reason again, and not that the pipeline is invalid.
      this.#byText.delete(key);
      this.#byKernel.delete(kernel);
      if (made !== null) made.failed = true;
      return shaderError(kernel, shader, failure, message);
    };
    const compiled = failures.guard(explain, () => {
      const module = (shader = device.createShaderModule({ label, code: wgsl }));
      const handle = device.createComputePipeline({
        label,
        layout: pipeline,
        compute: { module, entryPoint: "main", constants },
      });
      return { handle, layout: binding, failed: false };
    });
    made = compiled;
    this.#byText.set(key, compiled);
    return compiled;
  }

  #layout(kernel: Kernel): { readonly binding: BindingLayout; readonly pipeline: GPUPipelineLayout } {
    const { label, kinds } = kernel;
    const key = kinds.join(" ");
    const known = this.#layouts.get(key);
    if (known !== undefined) return known;
    const most = this.#gpu.capabilities.limits.maxStorageBuffersPerShaderStage;
    if (kinds.length - 1 > most) {
      throw new GpuError(
        "limit",
        `the kernel ${label} binds ${kinds.length - 1} storage buffers, and ${this.#gpu.adapter.name} allows ` +
          `maxStorageBuffersPerShaderStage = ${most}; use another adapter or the CPU backend`,
      );
    }
    const { device } = this.#gpu;
    const handle = device.createBindGroupLayout({
      label: key,
      entries: kinds.map((kind, binding) => ({
        binding,
        visibility: ShaderStage.compute,
        buffer: BUFFER_LAYOUTS[kind],
      })),
    });
    const pipeline = device.createPipelineLayout({ label: key, bindGroupLayouts: [handle] });
    const made = { binding: { id: this.#layouts.size, handle }, pipeline };
    this.#layouts.set(key, made);
    return made;
  }
}

/** The compiler's first complaint, with the line that it is about. */
async function shaderError(
  { label, wgsl }: Kernel,
  shader: GPUShaderModule | null,
  failure: GpuFailure,
  message: string,
): Promise<GpuError> {
  const info = await shader?.getCompilationInfo();
  const complaint = info?.messages.find(({ type }) => type === "error");
  if (complaint === undefined) return new GpuError(failure, `the kernel ${label} makes no pipeline: ${message}`);
  const line = wgsl.split("\n")[complaint.lineNum - 1]?.trim() ?? "";
  return new GpuError(
    "shader",
    `the shader of the kernel ${label} does not compile, line ${complaint.lineNum}:${complaint.linePos}, ` +
      `\`${line}\`: ${complaint.message.trim()}`,
  );
}
