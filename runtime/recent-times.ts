/** How many durations are kept. */
const WINDOW = 1024

/** Durations of the latest of many like events (writes, decisions), for percentiles on demand. */
export class RecentTimes {
  readonly #ring = new Float64Array(WINDOW)
  #count = 0

  add(durationMs: number): void {
    this.#ring[this.#count % WINDOW] = durationMs
    this.#count += 1
  }

  /** How many were added, the forgotten ones included. */
  get count(): number {
    return this.#count
  }

  /** Figures over the window, in milliseconds; zeros before the first duration. */
  summary(): { readonly last: number; readonly p50: number; readonly p99: number; readonly max: number } {
    const sorted = this.#ring.slice(0, Math.min(this.#count, WINDOW)).sort()
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    const last = this.#ring[(this.#count - 1) % WINDOW] ?? 0
    return { last, p50: at(0.5), p99: at(0.99), max: at(1) }
  }
}
