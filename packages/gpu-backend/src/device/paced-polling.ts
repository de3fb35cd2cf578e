/** What `PacedPolling` needs of an event loop. */
export interface Loop {
  nowMs(): number;
  /** Call at the event loop's next turn. */
  soon(callback: () => void): void;
  /** Call after some milliseconds; the function given back calls it off. */
  later(callback: () => void, ms: number): () => void;
}

/** How long after the latest call a waiting caller's answer must not be late by as much as a timer is. */
const EAGER_MS = 5;
/** Looks that follow each other faster see nothing new. */
const EAGER_INTERVAL_MS = 0.05;
const PATIENT_INTERVAL_MS = 1;

/** Methods of Dawn's classes whose promises are settled by polling. */
const ASYNCHRONOUS = [
  ["GPU", "requestAdapter"],
  ["GPUAdapter", "requestDevice"],
  ["GPUDevice", "popErrorScope"],
  ["GPUDevice", "createComputePipelineAsync"],
  ["GPUDevice", "createRenderPipelineAsync"],
  ["GPUQueue", "onSubmittedWorkDone"],
  ["GPUBuffer", "mapAsync"],
  ["GPUShaderModule", "getCompilationInfo"],
] as const;

type Method = (...args: unknown[]) => unknown;

/**
 * Gives Dawn's Node binding a pace to look for finished work at.
 *
 * While anything is awaited the binding looks at every turn of the event loop, and asks for the next one by calling the
 * global `setImmediate` with a function that it makes for that turn. That occupies a whole core, of which a software
 * device has need, and makes some 50 MB of garbage a second that outlives the young generation: collecting it stops the
 * process for 50 to 150 ms every few seconds, and with it every server that runs there.
 *
 * Here the binding meets, only while its own code runs, a `setImmediate` that looks often for the first milliseconds
 * after a call and every millisecond from then on.
 */
export class PacedPolling {
  readonly #loop: Loop;
  #looks: (() => void)[] = [];
  #latestCallMs = -Infinity;
  #latestLookMs = -Infinity;
  /** Set while the next look awaits a timer. */
  #callOff: (() => void) | null = null;

  constructor(loop: Loop = eventLoop()) {
    this.#loop = loop;
  }

  /** Pace what the asynchronous methods of these classes, of those that there are, begin from now on. */
  pace(classes: object): void {
    for (const [className, name] of ASYNCHRONOUS) {
      const prototype = property(property(classes, className), "prototype");
      const method = property(prototype, name);
      if (!isObject(prototype) || !isMethod(method)) continue;
      const call = (self: unknown, args: unknown[]): unknown => this.#call(() => Reflect.apply(method, self, args));
      Reflect.set(prototype, name, function (this: unknown, ...args: unknown[]): unknown {
        return call(this, args);
      });
    }
  }

  #call<T>(begin: () => T): T {
    this.#latestCallMs = this.#loop.nowMs();
    if (this.#callOff !== null) {
      this.#callOff();
      this.#await();
    }
    return this.#inBinding(begin);
  }

  /** Run code of the binding, which asks for its next look by the global name. */
  #inBinding<T>(act: () => T): T {
    const own = Reflect.get(globalThis, "setImmediate");
    Reflect.set(globalThis, "setImmediate", (look: () => void) => {
      this.#looks.push(look);
      if (this.#looks.length === 1) this.#await();
    });
    try {
      return act();
    } finally {
      Reflect.set(globalThis, "setImmediate", own);
    }
  }

  #await(): void {
    this.#callOff = null;
    if (this.#loop.nowMs() - this.#latestCallMs < EAGER_MS) this.#loop.soon(this.#turn);
    else this.#callOff = this.#loop.later(this.#turn, PATIENT_INTERVAL_MS);
  }

  readonly #turn = (): void => {
    const nowMs = this.#loop.nowMs();
    if (nowMs - this.#latestLookMs < EAGER_INTERVAL_MS) {
      this.#await();
      return;
    }
    this.#latestLookMs = nowMs;
    this.#callOff = null;
    const looks = this.#looks;
    this.#looks = [];
    this.#inBinding(() => {
      for (const look of looks) look();
    });
  };
}

/** The event loop itself, by its functions as they are now. */
function eventLoop(): Loop {
  const { setImmediate, setTimeout, clearTimeout } = globalThis;
  return {
    nowMs: () => performance.now(),
    soon: (callback) => setImmediate(callback),
    later: (callback, ms) => {
      const timer = setTimeout(callback, ms);
      return () => {
        clearTimeout(timer);
      };
    },
  };
}

function property(of: unknown, name: string): unknown {
  return isObject(of) ? Reflect.get(of, name) : undefined;
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function isMethod(value: unknown): value is Method {
  return typeof value === "function";
}
