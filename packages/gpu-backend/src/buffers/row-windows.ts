import type { GpuLimits } from "../device/limits";
import { GpuError } from "../device/gpu-error";

/** Rows of a matrix that one binding can hold. */
export interface RowWindow {
  readonly firstRow: number;
  readonly rowCount: number;
  /** Of the binding within the buffer, aligned as bindings have to be. */
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Divide a matrix of `rows` rows of `rowBytes` bytes into bindings within the adapter's limits: a vocabulary's weights
 * are larger than one binding on many adapters. One window, the whole matrix, where it fits.
 *
 * @throws GpuError `limit` where not even the fewest rows that begin at an aligned offset fit.
 * @example rowWindows("lm_head", 128_256, 8192, limits) // eight windows where a binding has at most 128 MiB
 */
export function rowWindows(label: string, rows: number, rowBytes: number, limits: GpuLimits): readonly RowWindow[] {
  const most = limits.maxStorageBufferBindingSize;
  if (rows * rowBytes <= most) return [{ firstRow: 0, rowCount: rows, offset: 0, bytes: rows * rowBytes }];
  const alignment = Math.max(4, limits.minStorageBufferOffsetAlignment);
  // Every window begins at a multiple of so many rows, whose bytes are a multiple of the alignment.
  const step = alignment / greatestCommonDivisor(alignment, rowBytes);
  const rowsPerWindow = Math.floor(most / (step * rowBytes)) * step;
  if (rowsPerWindow === 0) {
    throw new GpuError(
      "limit",
      `${step} rows of "${label}" have ${step * rowBytes} bytes, and a binding may have ` +
        `maxStorageBufferBindingSize = ${most}; use an adapter that allows more, or the CPU backend`,
    );
  }
  const windows: RowWindow[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += rowsPerWindow) {
    const rowCount = Math.min(rowsPerWindow, rows - firstRow);
    windows.push({ firstRow, rowCount, offset: firstRow * rowBytes, bytes: rowCount * rowBytes });
  }
  return windows;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
