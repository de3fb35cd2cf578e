import type { LineResult } from "./line-result";
import type { Counts, StoredBatch } from "./stored-batch";
import type { StoredFile } from "./stored-file";

/** Files, batches and results. Whatever it returns is as it was at that moment: others may change it. */
export interface BatchStore {
  /**
   * Keeps a file. The same id again replaces it, so that work that is done twice leaves one file.
   *
   * @param file `bytes` is counted here
   * @param limited whether the file is refused where there is no room
   */
  putFile(file: Omit<StoredFile, "bytes">, content: AsyncIterable<Uint8Array>, limited: boolean): Promise<StoredFile>;
  file(id: string): Promise<StoredFile | null>;
  /** In pieces; ends early where the file is deleted meanwhile. */
  content(id: string): AsyncIterable<Uint8Array>;
  /** The owner's files, the newest first. */
  files(owner: string): Promise<StoredFile[]>;
  deleteFile(file: StoredFile): Promise<void>;
  /** Keeps a file at least until then. */
  keepFile(id: string, expiresAt: number): Promise<void>;

  addBatch(batch: StoredBatch): Promise<void>;
  batch(id: string): Promise<StoredBatch | null>;
  /** The owner's batches, the newest first. */
  batches(owner: string): Promise<StoredBatch[]>;
  /** Ids of the batches that have not ended. */
  unfinished(): Promise<string[]>;
  /**
   * Replaces the record, for all processes at once: `change` sees the newest one, and may be asked again.
   *
   * @param change returns null to leave it
   * @returns the new record; null where it was left or there is none
   */
  updateBatch(id: string, change: (batch: StoredBatch) => StoredBatch | null): Promise<StoredBatch | null>;

  /**
   * Files a line's result. The first one stays, and none is taken unless the batch is in progress.
   *
   * @returns how many lines have results
   */
  addResult(batch: string, line: number, result: LineResult): Promise<number>;
  hasResult(batch: string, line: number): Promise<boolean>;
  /** The results of lines `from` to `to`, exclusive; null for those that have none. */
  results(batch: string, from: number, to: number): Promise<(LineResult | null)[]>;
  counts(batch: string): Promise<Counts>;
  /** Drops the results, once they are in files, and lets the record go when it has been kept for its time. */
  closeBatch(batch: StoredBatch): Promise<void>;
}
