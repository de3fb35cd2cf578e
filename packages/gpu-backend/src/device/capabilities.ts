import { DEFAULT_LIMITS, type GpuLimits } from "./limits";

/** A shape that the adapter's matrix units multiply: an M×K by a K×N matrix. */
export interface SubgroupMatrixShape {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** Least and greatest number of invocations in a subgroup: 4 on SwiftShader, 8 on llvmpipe, 32 on NVIDIA, 64 on AMD. */
export interface SubgroupSize {
  readonly min: number;
  readonly max: number;
}

/** All that a plan may know of a device, as plain data: so a plan can be made and tested without one. */
export interface GpuCapabilities {
  readonly limits: GpuLimits;
  /** Arithmetic on f16 in shaders. Storage of f16 needs it not: two lie in a word. */
  readonly f16: boolean;
  /** Null where subgroups are not offered. */
  readonly subgroups: SubgroupSize | null;
  readonly timestamps: boolean;
  /** Products of four signed bytes at once in shaders (`packed_4x8_integer_dot_product`). */
  readonly packedDots: boolean;
  /** Empty where subgroup matrices are not offered. */
  readonly subgroupMatrices: readonly SubgroupMatrixShape[];
}

/** The least that a kernel has to work with. */
export const PLAIN_CAPABILITIES: GpuCapabilities = {
  limits: DEFAULT_LIMITS,
  f16: false,
  subgroups: null,
  timestamps: false,
  packedDots: false,
  subgroupMatrices: [],
};
