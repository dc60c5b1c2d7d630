/**
 * Milliseconds on the operating system's monotonic clock (CLOCK_MONOTONIC on Linux, mach_absolute_time on macOS). Every
 * process of one machine reads the same clock, so a deadline given by the node holds in the supervisor and in the pool
 * processes however long its message was under way. It stands still while the machine sleeps.
 */
export function systemMonotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
