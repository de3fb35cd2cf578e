import type { StoredBuffer } from "../buffers/stored-buffer";
import { naming } from "../device/failure-log";
import type { Gpu } from "../device/gpu";
import type { BindingLayout } from "./pipeline-cache";

/** A buffer as one entry of a bind group sees it. */
export interface BoundBuffer {
  readonly buffer: StoredBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Bind groups by layout and buffers: making one costs several times what the dispatch itself does. */
export class BindGroupCache {
  readonly #gpu: Gpu;
  readonly #groups = new Map<string, { readonly handle: GPUBindGroup; readonly buffers: readonly StoredBuffer[] }>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  get size(): number {
    return this.#groups.size;
  }

  get(label: string, layout: BindingLayout, bound: readonly BoundBuffer[]): GPUBindGroup {
    let key = `${layout.id}`;
    for (const { buffer, offset, bytes } of bound) key += `,${buffer.id}:${offset}:${bytes}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known.handle;
    const handle = this.#gpu.failures.guard(naming(`binding the buffers of ${label}`), () =>
      this.#gpu.device.createBindGroup({
        label,
        layout: layout.handle,
        entries: bound.map(({ buffer, offset, bytes }, binding) => ({
          binding,
          resource: { buffer: buffer.handle, offset, size: bytes },
        })),
      }),
    );
    const buffers = bound.map(({ buffer }) => buffer);
    this.#groups.set(key, { handle, buffers });
    for (const buffer of buffers) buffer.bindGroups.add(key);
    return handle;
  }

  /** Drop the groups of a buffer that is about to be destroyed. */
  forget(buffer: StoredBuffer): void {
    for (const key of buffer.bindGroups) {
      const group = this.#groups.get(key);
      this.#groups.delete(key);
      for (const other of group?.buffers ?? []) if (other !== buffer) other.bindGroups.delete(key);
    }
    buffer.bindGroups.clear();
  }
}
