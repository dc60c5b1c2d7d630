import type { Timers } from '../../runtime/ports/timers.ts'

/** Node's event loop as `Timers`. A pending timer keeps the process alive until it ran or was cancelled. */
export function createTimers(): Timers {
  return {
    after: (delayMs, callback) => {
      // Node runs timers up to a millisecond early against the monotonic clock when the delay has a fraction.
      const handle = setTimeout(callback, Math.max(0, Math.ceil(delayMs)))
      return () => {
        clearTimeout(handle)
      }
    },
    soon: (callback) => {
      setImmediate(callback)
    }
  }
}
