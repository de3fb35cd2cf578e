/** The GPUBuffers of a device that exist, seen from outside: by watching it make and destroy them. */
export interface LiveBuffers {
  /** Of those alive. */
  bytes(): number;
  count(): number;
  /** Made since the watch began. */
  made(): number;
}

/** Watch a device from now on; call it before anything makes a buffer. */
export function watchBuffers(device: GPUDevice): LiveBuffers {
  const live = new Map<GPUBuffer, number>();
  let made = 0;
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    made++;
    live.set(buffer, buffer.size);
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      live.delete(buffer);
      destroy();
      return undefined;
    };
    return buffer;
  };
  return {
    bytes: () => [...live.values()].reduce((sum, size) => sum + size, 0),
    count: () => live.size,
    made: () => made,
  };
}
