import type { WebGpuBackend } from "@winnow/gpu-backend";

/** How long the main thread takes to enqueue a token: from the call that draws it to the submission of its step. */
export class HostClock {
  /** Microseconds, by token. */
  readonly tokens: number[] = [];
  #began: number | null = null;

  /** The backend, watched. */
  watch(backend: WebGpuBackend): WebGpuBackend {
    // Made once each: what watching takes counts as the token's.
    const watched = new Map<string | symbol, (...args: unknown[]) => unknown>();
    return new Proxy(backend, {
      get: (target, name) => {
        const known = watched.get(name);
        if (known !== undefined) return known;
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        const call = (...args: unknown[]): unknown => {
          if (name === "sample") this.#began ??= performance.now();
          const result: unknown = Reflect.apply(value, target, args);
          if (name === "submit") this.#submitted();
          return result;
        };
        watched.set(name, call);
        return call;
      },
    });
  }

  #submitted(): void {
    if (this.#began === null) return;
    this.tokens.push(1000 * (performance.now() - this.#began));
    this.#began = null;
  }
}
