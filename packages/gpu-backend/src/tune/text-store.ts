/**
 * Texts by name that outlive the program: files of a folder, a browser's storage. What is kept there may be deleted at any time.
 *
 * @example
 * ```ts
 * const store: TextStore = {
 *   read: (name) => Promise.resolve(localStorage.getItem(name)),
 *   write: (name, text) => Promise.resolve(localStorage.setItem(name, text)),
 * };
 * ```
 */
export interface TextStore {
  /**
   * @param name letters, digits, dots and dashes.
   * @returns null where nothing is kept under that name.
   */
  read(name: string): Promise<string | null>;
  /** Keep a text in the place of what was kept under that name. */
  write(name: string, text: string): Promise<void>;
}
