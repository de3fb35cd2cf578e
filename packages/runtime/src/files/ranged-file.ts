/** A file that is read in pieces, so that a tensor's bytes go straight to where they are wanted. */
export interface RangedFile {
  /** Where it is, for messages. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Fill `target` with the bytes from `position` on.
   *
   * @throws WinnowError `file` when it cannot be read, or ends before the target is full.
   */
  read(target: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
}
