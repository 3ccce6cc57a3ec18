// Time in which the page was to be seen.

/** Counts seconds from `start`, without those in which the page was hidden. */
export class Clock {
  #seen = 0;
  #since = null;

  constructor() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#stop() : this.#go()));
  }

  start() {
    this.#seen = 0;
    this.#since = document.hidden ? null : performance.now();
  }

  seconds() {
    const running = this.#since === null ? 0 : performance.now() - this.#since;
    return (this.#seen + running) / 1000;
  }

  #go() {
    this.#since ??= performance.now();
  }

  #stop() {
    this.#seen = this.seconds() * 1000;
    this.#since = null;
  }
}
