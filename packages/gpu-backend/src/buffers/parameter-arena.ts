import { BufferUsage } from "../device/flags";
import type { Gpu } from "../device/gpu";
import type { BufferStore } from "./buffer-store";
import type { StoredBuffer } from "./stored-buffer";

const WORD_BYTES = 4;
/** A place is 256 bytes on many adapters: as many as a token of a deep model takes. */
const FIRST_ARENA_BYTES = 2 ** 18;

/**
 * The parameters of every dispatch of a batch, in one buffer that is written once a batch. A queue keeps writes and
 * submissions in order, so the same bytes serve the next batch at once.
 */
export class ParameterArena {
  readonly #gpu: Gpu;
  readonly #store: BufferStore;
  readonly #alignment: number;
  #buffer: StoredBuffer | null = null;
  #staging = new Uint32Array(FIRST_ARENA_BYTES / WORD_BYTES);
  #used = 0;

  constructor(gpu: Gpu, store: BufferStore) {
    const { minUniformBufferOffsetAlignment, minStorageBufferOffsetAlignment } = gpu.capabilities.limits;
    this.#gpu = gpu;
    this.#store = store;
    this.#alignment = Math.max(minUniformBufferOffsetAlignment, minStorageBufferOffsetAlignment);
  }

  /** The buffer to bind. Another one takes its place when the arena grows. */
  get buffer(): StoredBuffer {
    return (this.#buffer ??= this.#store.create({
      label: "parameters",
      category: "activations",
      bytes: this.#staging.byteLength,
      usage: BufferUsage.uniform | BufferUsage.storage | BufferUsage.copyTarget,
    }));
  }

  /** Bytes that a binding of so many takes with the gap behind it. */
  roomOf(bytes: number): number {
    return Math.ceil(bytes / this.#alignment) * this.#alignment;
  }

  /** Whether there is so much room beside what the batch holds already. */
  hasRoom(bytes: number): boolean {
    return this.#used + bytes <= this.#staging.byteLength;
  }

  /** Whether there is so much room in an empty arena. */
  holds(bytes: number): boolean {
    return bytes <= this.#staging.byteLength;
  }

  /**
   * Make so much room. Only between batches, when the arena is empty.
   *
   * The old buffer is destroyed: it is part of no batch any more.
   */
  growTo(bytes: number): void {
    if (this.holds(bytes)) return;
    this.#buffer?.destroy();
    this.#buffer = null;
    this.#staging = new Uint32Array(2 ** Math.ceil(Math.log2(bytes)) / WORD_BYTES);
  }

  /**
   * Put words where a binding of so many bytes begins; `hasRoom` has said that there is room for it.
   *
   * @returns the place, in bytes.
   */
  put(words: Uint32Array, bytes: number): number {
    const place = this.#used;
    this.#staging.set(words, place / WORD_BYTES);
    this.#used = place + this.roomOf(bytes);
    return place;
  }

  /** Send the batch's bytes, before its commands are submitted. */
  send(): void {
    if (this.#used === 0) return;
    this.#gpu.device.queue.writeBuffer(this.buffer.handle, 0, this.#staging.buffer, 0, this.#used);
    this.#used = 0;
  }

  /** Forget a batch that will not be submitted. */
  drop(): void {
    this.#used = 0;
  }
}
