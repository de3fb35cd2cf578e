/** How often the server is looked at, in milliseconds, while somebody looks at the page and while nobody does. */
const EVERY = { visible: 1000, hidden: 15_000 } as const;

/** Looks again and again: never twice at once, and seldom while the tab is hidden. */
export class Poller {
  #timer: number | undefined;
  #looking = false;
  #again = false;

  /** @param look says for how long at least to leave the server alone, and does not throw. */
  constructor(private readonly look: () => Promise<number>) {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.now();
    });
  }

  /** Look at once, or once more where a look is under way that began before what is to be seen; and go on from there. */
  now(): void {
    this.#again = this.#looking;
    if (this.#looking) return;
    window.clearTimeout(this.#timer);
    this.#looking = true;
    void this.look().then((leaveAlone) => {
      this.#looking = false;
      if (this.#again) {
        this.now();
        return;
      }
      const pause = Math.max(leaveAlone, document.hidden ? EVERY.hidden : EVERY.visible);
      // Infinity: only somebody's doing changes anything.
      if (Number.isFinite(pause)) {
        this.#timer = window.setTimeout(() => {
          this.now();
        }, pause);
      }
    });
  }
}
