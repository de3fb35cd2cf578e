/** A GPUBuffer that exists and is counted. Made and destroyed by a `BufferStore` alone. */
export class StoredBuffer {
  /** Keys of the cached bind groups that hold this buffer, so that they go when it goes. */
  readonly bindGroups = new Set<string>();
  /** The recorder's last batch with a command on this buffer. */
  lastBatch = -1;
  #destroyed = false;

  constructor(
    /** Unique within its store. */
    readonly id: number,
    readonly label: string,
    /** Size of the GPUBuffer: whole words, at least one. */
    readonly bytes: number,
    readonly handle: GPUBuffer,
    private readonly onDestroy: (buffer: StoredBuffer) => void,
  ) {}

  get destroyed(): boolean {
    return this.#destroyed;
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.onDestroy(this);
  }
}
