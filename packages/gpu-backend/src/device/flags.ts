// The flags that WebGPU's specification numbers. Dawn does not define their globals in Node, and a library should not
// define globals for it.

export const BufferUsage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;

export const MapMode = { read: 0x1 } as const;

export const ShaderStage = { compute: 0x4 } as const;
