export interface SimdBackendOptions {
  /**
   * Threads that compute, the leading one too: 1 to 256. Default: the cores there are, up to 16; in a page that is not
   * cross-origin isolated 1, for threads can share no memory there.
   */
  readonly threads?: number | undefined;
}
