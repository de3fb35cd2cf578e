/** Counts the buffers that a device makes from now on. */
export function buffersMade(device: GPUDevice): () => number {
  let made = 0;
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    made++;
    return create(descriptor);
  };
  return () => made;
}
