/** One dispatch, as the device was told of it. */
interface TapedDispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly offsets: readonly number[];
}

/**
 * Keeps what a device is told to dispatch, and tells it once more from the list: what that takes is the least that any
 * host can spend on the same dispatches, for WebGPU has no commands that outlive their submission.
 */
export class CommandTape {
  #dispatches: TapedDispatch[] = [];
  #running = false;

  /** @param device whose encoders are watched from now on. */
  constructor(private readonly device: GPUDevice) {
    const create = device.createCommandEncoder.bind(device);
    device.createCommandEncoder = (descriptor) => {
      const encoder = create(descriptor);
      if (!this.#running) return encoder;
      const begin = encoder.beginComputePass.bind(encoder);
      encoder.beginComputePass = (pass) => this.#watch(begin(pass));
      return encoder;
    };
  }

  get dispatches(): number {
    return this.#dispatches.length;
  }

  /** Keep what follows, in the place of what was kept before. */
  start(): void {
    this.#dispatches = [];
    this.#running = true;
  }

  stop(): void {
    this.#running = false;
  }

  /**
   * Encode and submit everything that was kept, as one pass; over no workgroups, since the parameters are no longer there.
   *
   * @returns microseconds that the host took.
   */
  replay(): number {
    const began = performance.now();
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const { pipeline, group, offsets } of this.#dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group, offsets);
      pass.dispatchWorkgroups(0, 0, 0);
    }
    pass.end();
    this.device.queue.submit([encoder.finish()]);
    return 1000 * (performance.now() - began);
  }

  #watch(pass: GPUComputePassEncoder): GPUComputePassEncoder {
    const setPipeline = pass.setPipeline.bind(pass);
    const setBindGroup = pass.setBindGroup.bind(pass);
    const dispatch = pass.dispatchWorkgroups.bind(pass);
    let pipeline: GPUComputePipeline | null = null;
    let group: GPUBindGroup | null = null;
    let offsets: readonly number[] = [];
    pass.setPipeline = (next) => {
      pipeline = next;
      setPipeline(next);
      return undefined;
    };
    pass.setBindGroup = (index: number, next: GPUBindGroup, ...rest: readonly unknown[]) => {
      group = next;
      offsets = offsetsOf(rest);
      setBindGroup(index, next, offsets);
      return undefined;
    };
    pass.dispatchWorkgroups = (x, y = 1, z = 1) => {
      if (pipeline !== null && group !== null) this.#dispatches.push({ pipeline, group, offsets });
      dispatch(x, y, z);
      return undefined;
    };
    return pass;
  }
}

/** Dynamic offsets in either of the forms that `setBindGroup` takes them in. */
function offsetsOf([offsets, start, length]: readonly unknown[]): number[] {
  if (offsets instanceof Uint32Array && typeof start === "number" && typeof length === "number") {
    return Array.from(offsets.subarray(start, start + length));
  }
  return Array.isArray(offsets) ? offsets.map(Number) : [];
}
