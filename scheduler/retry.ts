/**
 * How long a task waits before its next attempt: exponential back-off with full jitter, which spreads retries best
 * (Brooker, "Exponential Backoff And Jitter", AWS 2015). Drawn by the leader and recorded in its command.
 */
import type { Rng } from '../base/prng.ts'
import type { DurationMs } from '../base/units.ts'
import { durationMs } from '../base/units.ts'
import { placementWith } from './attempts.ts'
import type { AttemptReport } from './commands.ts'
import type { RetryPolicy, Task } from './types.ts'

/** A delay uniform in [0, min(maxDelayMs, baseDelayMs · 2^(failures − 1))]; `failures` counts from 1. */
export function retryDelay(policy: RetryPolicy, failures: number, rng: Rng): DurationMs {
  const doubled = policy.baseDelayMs * 2 ** Math.min(Math.max(failures - 1, 0), 40)
  const ceiling = Math.min(policy.maxDelayMs, doubled, 0xffff_fffe)
  return durationMs(rng.nextInt(ceiling + 1))
}

/** The delay to record with a report. A first attempt that did not start goes back in line at once. */
export function delayAfter(report: AttemptReport, task: Task | undefined, rng: Rng): DurationMs {
  if (task === undefined || report.outcome === 'succeeded') return durationMs(0)
  const { retry } = task.spec
  const uncounted =
    report.outcome === 'not-started' || placementWith(task, report.token)?.stopReason === 'drain'
  if (uncounted) return task.uncounted === 0 ? durationMs(0) : retryDelay(retry, task.uncounted, rng)
  return retryDelay(retry, task.attempts - task.uncounted, rng)
}
