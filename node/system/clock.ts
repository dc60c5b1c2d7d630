import { monotonicMs, timestampMs } from '../../base/units.ts'
import type { Clock } from '../../runtime/ports/clock.ts'

/** The process's own clocks. */
export function createClock(): Clock {
  return {
    monotonicNow: () => monotonicMs(performance.now()),
    wallNow: () => timestampMs(Date.now())
  }
}
