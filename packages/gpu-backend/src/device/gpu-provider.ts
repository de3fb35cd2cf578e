/** Where an implementation of WebGPU comes from: the only thing that differs between Node and a browser. */
export type GpuProvider = () => Promise<GPU>;
