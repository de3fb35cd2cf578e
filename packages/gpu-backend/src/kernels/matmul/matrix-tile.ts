import type { GpuCapabilities, SubgroupMatrixShape } from "../../device/capabilities";

/** Inputs that a workgroup takes at a step, or one matrix's where it has more: a whole group of most quantised types. */
const STEP = 32;
/**
 * Halves that rows of a tile are apart in workgroup memory beyond what they have, so that lanes which read side by side do not
 * meet in one bank: 16 bytes, as Vulkan wants rows of matrices to begin at multiples of that.
 */
const PADDING = 8;

/** A workgroup's tile, cut into the matrices of its subgroups. */
export interface MatrixTile extends Pick<SubgroupMatrixShape, "M" | "N" | "K"> {
  /** Invocations of a subgroup. */
  readonly lanes: number;
  /** Subgroups, one below the other and side by side. */
  readonly down: number;
  readonly across: number;
  /** Result matrices of a subgroup, likewise. */
  readonly tall: number;
  readonly wide: number;
  /** Inputs of a step, a multiple of K. */
  readonly depth: number;
}

/** How large a tile is wanted, and how many subgroups share it. */
export interface TilePlan {
  /** Rows of x. */
  readonly rows: number;
  /** Rows of the weight: with a gate, of both halves together. */
  readonly columns: number;
  readonly down: number;
  readonly across: number;
}

/** What workgroup memory has to hold beside the tile of the weight's halves. */
export interface TileContents {
  /** Weight rows of an output: one, or two with a gate, whose sums a subgroup has both. */
  readonly parts: number;
  /** Halves that a weight is the sum of. */
  readonly halves: 1 | 2;
}

/** Rows of x in a tile. */
export function matrixRows({ M, down, tall }: MatrixTile): number {
  return down * tall * M;
}

/** Rows of the weight in a tile. */
export function matrixColumns({ N, across, wide }: MatrixTile): number {
  return across * wide * N;
}

/** Invocations of a workgroup. */
export function matrixThreads({ lanes, down, across }: MatrixTile): number {
  return down * across * lanes;
}

/** Halves from one row of the weight's tile to the next. */
export function matrixPitch({ depth }: MatrixTile): number {
  return depth + PADDING;
}

/** f32 sums that lie in workgroup memory at a time: of each subgroup one matrix, or with a gate two. */
export function matrixSums({ M, N, down, across }: MatrixTile, parts: number): number {
  return down * across * parts * M * N;
}

/** Bytes of workgroup memory that a tile takes. */
export function matrixBytes(tile: MatrixTile, { parts, halves }: TileContents): number {
  return halves * matrixColumns(tile) * matrixPitch(tile) * 2 + matrixSums(tile, parts) * 4;
}

/**
 * The tile of a plan on a device: of its matrices of halves with f32 sums the largest, which load least for what they
 * multiply. Null where the device has none, where subgroups may have one size or another, so that nobody knows which lanes
 * are one, and where the plan does not divide into its matrices or exceeds its limits.
 */
export function matrixTile(
  { rows, columns, down, across }: TilePlan,
  contents: TileContents,
  { f16, subgroups, subgroupMatrices, limits }: GpuCapabilities,
): MatrixTile | null {
  if (!f16 || subgroups === null || subgroups.min !== subgroups.max) return null;
  const size = ({ M, N, K }: SubgroupMatrixShape): number => M * N * K;
  const [shape] = subgroupMatrices
    .filter(({ componentType, resultComponentType }) => componentType === "f16" && resultComponentType === "f32")
    .sort((a, b) => size(b) - size(a));
  if (shape === undefined) return null;
  const { M, N, K } = shape;
  const [tall, wide] = [rows / down / M, columns / across / N];
  // With a gate, a subgroup has as many matrices of gates as of what they gate.
  if (!Number.isInteger(tall) || !Number.isInteger(wide / contents.parts)) return null;
  // Matrices begin at multiples of K halves or of N sums, which are to be multiples of 16 bytes.
  if (K % 8 !== 0 || N % 4 !== 0) return null;
  const depth = Math.ceil(STEP / K) * K;
  const tile: MatrixTile = { M, N, K, lanes: subgroups.max, down, across, tall, wide, depth };
  const threads = matrixThreads(tile);
  const fits =
    threads <= limits.maxComputeInvocationsPerWorkgroup &&
    threads <= limits.maxComputeWorkgroupSizeX &&
    matrixBytes(tile, contents) <= limits.maxComputeWorkgroupStorageSize;
  return fits ? tile : null;
}
