import type { Gpu } from "./gpu";

const live = new Set<WeakRef<Gpu>>();
let watching = false;

/**
 * Destroy a device when the process ends, if it still exists then: some drivers crash when they are unloaded while
 * their threads work, and an error that ends a program should not become a crash.
 */
export function endWithProcess(gpu: Gpu): Gpu {
  if (!watching) process.once("exit", destroyAll);
  watching = true;
  for (const reference of live) {
    if (reference.deref()?.ended !== null) live.delete(reference);
  }
  live.add(new WeakRef(gpu));
  return gpu;
}

function destroyAll(): void {
  for (const reference of live) reference.deref()?.device.destroy();
}
