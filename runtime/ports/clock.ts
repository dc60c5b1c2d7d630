import type { MonotonicMs, TimestampMs } from '../../base/units.ts'

/** The two clocks of a process. Virtual time in a simulation. */
export interface Clock {
  /** Milliseconds with fractions; never goes back, keeps its rate, means nothing to another process. */
  monotonicNow(): MonotonicMs
  /** Milliseconds since the Unix epoch; may jump either way. */
  wallNow(): TimestampMs
}
