import type { SubgroupMatrixShape, SubgroupSize } from "./capabilities";
import { offeredFeatures, type OptionalFeature } from "./features";
import { limitsOf, type GpuLimits } from "./limits";
import { softwareName } from "./software-adapter";

/** What `winnow inspect gpu` tells of an adapter. */
export interface AdapterDescription {
  /** As the driver says it, else vendor and architecture. */
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** What implements WebGPU, with its version: Dawn's, or the browser as it names itself. */
  readonly implementation: string;
  /** The driver that imitates a GPU on the CPU, such as `llvmpipe`; null for a real GPU. */
  readonly software: string | null;
  /** The optional features that the adapter offers. */
  readonly features: readonly OptionalFeature[];
  readonly limits: GpuLimits;
  readonly subgroups: SubgroupSize | null;
  readonly subgroupMatrices: readonly SubgroupMatrixShape[];
}

export function adapterDescription(adapter: GPUAdapter, implementation: string): AdapterDescription {
  const { info } = adapter;
  const { vendor, architecture, device, description } = info;
  const features = offeredFeatures(adapter);
  const known = [vendor, architecture].filter((part) => part !== "").join(" ");
  return {
    name: description !== "" ? description : known !== "" ? known : "unnamed adapter",
    vendor,
    architecture,
    device,
    implementation,
    software: softwareName(info),
    features,
    limits: limitsOf(adapter.limits),
    subgroups: features.includes("subgroups")
      ? // The bounds that WebGPU sets, where a browser does not tell.
        { min: info.subgroupMinSize ?? 4, max: info.subgroupMaxSize ?? 128 }
      : null,
    subgroupMatrices: features.includes("chromium-experimental-subgroup-matrix") ? matrixShapes(info) : [],
  };
}

/** Dawn's list, which no specification describes yet: what does not look as expected is left out. */
export function matrixShapes(info: GPUAdapterInfo): readonly SubgroupMatrixShape[] {
  if (!("subgroupMatrixConfigs" in info) || !Array.isArray(info.subgroupMatrixConfigs)) return [];
  return info.subgroupMatrixConfigs.flatMap((config: unknown) => {
    const componentType = field(config, "componentType");
    const resultComponentType = field(config, "resultComponentType");
    const [M, N, K] = [field(config, "M"), field(config, "N"), field(config, "K")];
    if (typeof componentType !== "string" || typeof resultComponentType !== "string") return [];
    if (typeof M !== "number" || typeof N !== "number" || typeof K !== "number") return [];
    return [{ componentType, resultComponentType, M, N, K }];
  });
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
