/**
 * State time as a leader makes it: its wall clock while that agrees with the voters', its monotonic clock otherwise.
 *
 * A leader whose wall clock stands more than `LIMITS.maxClockOffsetMs` from the median of the voters' clocks must not
 * drag state time along: from then on it counts from its last stamp, and should hand leadership over (DESIGN §4).
 */
import { LIMITS } from '../../base/limits.ts'
import { timestampMs, type TimestampMs } from '../../base/units.ts'
import type { Clock } from '../ports/clock.ts'

export class StampClock {
  readonly #clock: Clock
  #last = 0
  #lastMonotonic = 0
  #trusted = true

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** False while the wall clock is off: leadership should move. */
  get trusted(): boolean {
    return this.#trusted
  }

  /** A reign begins at this point of state time. */
  reset(time: TimestampMs): void {
    this.#last = time
    this.#lastMonotonic = this.#clock.monotonicNow()
    this.#trusted = true
  }

  /** Takes in the voters' clocks relative to this one's (this one's own 0 included). */
  observeOffsets(offsetsMs: readonly number[]): void {
    this.#trusted = Math.abs(median(offsetsMs)) <= LIMITS.maxClockOffsetMs
  }

  /** The stamp for an entry that is proposed now; never less than the last one. */
  now(): TimestampMs {
    const monotonic = this.#clock.monotonicNow()
    const elapsed = Math.max(0, Math.floor(monotonic - this.#lastMonotonic))
    const target = this.#trusted ? this.#clock.wallNow() : this.#last + elapsed
    if (target > this.#last) {
      this.#last = Math.floor(target)
      this.#lastMonotonic = monotonic
    }
    return timestampMs(this.#last)
  }
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}
