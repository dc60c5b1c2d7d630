/**
 * Keeps what is useful but not needed within a share of the time: over it, work is skipped, not put off. A cluster that
 * places thousands of tasks a second learns from as many of them as it has time for.
 */
export class TimeBudget {
  readonly #share: number
  readonly #burstMs: number
  readonly #now: () => number
  #leftMs: number
  #at: number

  /** `share` of elapsed time, saved up to `burstMs`; `now` is a monotonic clock in milliseconds. */
  constructor(share: number, burstMs: number, now: () => number) {
    this.#share = share
    this.#burstMs = burstMs
    this.#now = now
    this.#leftMs = burstMs
    this.#at = now()
  }

  /** Does the work if there is time left for it; returns whether it did. */
  run(work: () => void): boolean {
    const began = this.#now()
    this.#leftMs = Math.min(this.#burstMs, this.#leftMs + (began - this.#at) * this.#share)
    this.#at = began
    if (this.#leftMs <= 0) return false
    work()
    this.#leftMs -= this.#now() - began
    return true
  }
}
