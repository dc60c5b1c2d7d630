/**
 * State time as a leader makes it: its wall clock while that is known to agree with the voters', its monotonic clock
 * otherwise.
 *
 * A leader whose wall clock stands more than `LIMITS.maxClockOffsetMs` from the median of the voters' clocks must not
 * drag state time along: it counts from its last stamp, and should hand leadership over. The same holds
 * while nobody has said: at the beginning of a reign, and after a jump of the wall clock, until a majority of the voters
 * has been heard since.
 */
import { LIMITS } from '../../base/limits.ts'
import { timestampMs, type TimestampMs } from '../../base/units.ts'
import type { Clock } from '../ports/clock.ts'

/** How another voter's wall clock stood to this one's, and when (by this node's monotonic clock) that was seen. */
export interface ClockReading {
  readonly clockOffsetMs: number
  readonly heardAt: number
}

export class StampClock {
  readonly #clock: Clock
  #last = 0
  #lastMonotonic = 0
  #trusted = false
  /** The wall clock as it was last read, and when: what it shows next must be as much later. */
  #wallReading = 0
  #wallReadAt = 0
  /** Readings from before this moment were made against a wall clock that has jumped since. */
  #steadySince = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether stamps come from the wall clock. */
  get trusted(): boolean {
    return this.#trusted
  }

  /** A reign begins at this point of state time. */
  reset(time: TimestampMs): void {
    this.#last = time
    this.#lastMonotonic = this.#clock.monotonicNow()
    this.#trusted = false
    this.#wallReading = this.#clock.wallNow()
    this.#wallReadAt = this.#lastMonotonic
    this.#steadySince = this.#lastMonotonic
  }

  /**
   * Takes in the other voters' clocks, of `voters` in all with this node. `off`: this clock is wrong, and leadership
   * should move; `unknown`: too few have been heard.
   */
  observe(others: readonly ClockReading[], voters: number): 'agrees' | 'off' | 'unknown' {
    this.#readWall()
    const offsets = [0]
    for (const { clockOffsetMs, heardAt } of others)
      if (heardAt >= this.#steadySince) offsets.push(clockOffsetMs)
    const known = 2 * offsets.length > voters
    this.#trusted = known && Math.abs(median(offsets)) <= LIMITS.maxClockOffsetMs
    if (this.#trusted) return 'agrees'
    return known ? 'off' : 'unknown'
  }

  /** The stamp for an entry that is proposed now; never less than the last one. */
  now(): TimestampMs {
    const wall = this.#readWall()
    const monotonic = this.#wallReadAt
    const elapsed = Math.max(0, Math.floor(monotonic - this.#lastMonotonic))
    const target = this.#trusted ? wall : this.#last + elapsed
    if (target > this.#last) {
      this.#last = Math.floor(target)
      this.#lastMonotonic = monotonic
    }
    return timestampMs(this.#last)
  }

  /** Reads the wall clock, and distrusts it when it did not run as the monotonic one did. */
  #readWall(): number {
    const wall = this.#clock.wallNow()
    const monotonic = this.#clock.monotonicNow()
    const jumpMs = wall - this.#wallReading - (monotonic - this.#wallReadAt)
    if (Math.abs(jumpMs) > LIMITS.maxClockOffsetMs) {
      this.#trusted = false
      this.#steadySince = monotonic
    }
    this.#wallReading = wall
    this.#wallReadAt = monotonic
    return wall
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}
