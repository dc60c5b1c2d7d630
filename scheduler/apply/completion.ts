/**
 * How an attempt ends and what becomes of its task: by its node's report, or lost with its node's incarnation.
 *
 * | the attempt…            | not told to stop   | cancel, replace | timeout            | drain            |
 * |-------------------------|--------------------|-----------------|--------------------|------------------|
 * | succeeded               | succeeded          | succeeded       | succeeded          | succeeded        |
 * | failed                  | retry or failed    | cancelled       | retry or failed    | retry or failed  |
 * | was stopped             | retry or failed    | cancelled       | retry or failed    | back in line (1) |
 * | did not start           | back in line (2)   | cancelled       | back in line (2)   | back in line (2) |
 * | was lost                | retry or failed    | cancelled       | retry or failed    | retry or failed  |
 *
 * A success always wins over a stop: what the attempt did cannot be undone, so its result is kept. "Retry or failed"
 * counts the attempt; at-most-once tasks are not retried, and fail as MAYBE_RAN where their own failure is not known.
 * (1) not counted; at-most-once: failed, MAYBE_RAN. (2) not counted, at-most-once included. At most LIMITS.taskAttempts
 * attempts of a task go uncounted, so nothing runs for ever.
 */
import { LIMITS } from '../../base/limits.ts'
import type { DurationMs } from '../../base/units.ts'
import type { AttemptReport } from '../commands.ts'
import { TASK_ERRORS, finalError, retryableError } from '../task-errors.ts'
import type { Placement, Task, TaskError } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { fence } from './fencing.ts'
import { endTask, releasePlacement, requeue } from './transitions.ts'

/** Judges a node's report. Used for completions and for the outbox of an announcement. */
export function applyReport(ctx: ApplyContext, report: AttemptReport, retryDelayMs: DurationMs): void {
  const live = fence(ctx, report.taskId, report.token)
  if (live === undefined) return
  const { task, placement } = live
  const end: Ending = { ctx, task, placement, report, retryDelayMs }
  if (report.outcome === 'succeeded') {
    succeed(end, report)
  } else if (isCancelled(placement)) {
    releasePlacement(ctx, task, placement, report.outcome, report)
    endTask(ctx, task, 'cancelled', undefined, { placement, report })
  } else if (report.outcome === 'not-started') {
    releasePlacement(ctx, task, placement, 'not-started', report)
    task.lastFailedOn = placement.node
    putBack(end, retryableError(TASK_ERRORS.STOPPED, 'the node never got to start the attempt'))
  } else if (report.outcome === 'stopped') {
    stopped(end, report)
  } else {
    releasePlacement(ctx, task, placement, 'failed', report)
    fail(
      end,
      report.error ?? retryableError(TASK_ERRORS.STOPPED, 'the attempt failed without an error'),
      false
    )
  }
}

/** Ends an attempt whose incarnation is over. */
export function loseAttempt(
  ctx: ApplyContext,
  task: Task,
  placement: Placement,
  retryDelayMs: DurationMs
): void {
  const end: Ending = { ctx, task, placement, report: undefined, retryDelayMs }
  releasePlacement(ctx, task, placement, 'lost')
  if (isCancelled(placement)) {
    endTask(ctx, task, 'cancelled', undefined, { placement, report: undefined })
    return
  }
  const what = `incarnation ${placement.incarnation} of node ${placement.node} ended`
  fail(end, retryableError(TASK_ERRORS.NODE_LOST, what), true)
}

interface Ending {
  readonly ctx: ApplyContext
  readonly task: Task
  readonly placement: Placement
  readonly report: AttemptReport | undefined
  readonly retryDelayMs: DurationMs
}

function isCancelled(placement: Placement): boolean {
  return placement.stopReason === 'cancel' || placement.stopReason === 'replace'
}

function succeed(end: Ending, report: AttemptReport): void {
  const { ctx, task, placement } = end
  const size = report.result.length
  if (size > LIMITS.taskResultBytes) {
    releasePlacement(ctx, task, placement, 'failed', report)
    const message = `result: got ${size} bytes, expected at most ${LIMITS.taskResultBytes}`
    fail(end, finalError(TASK_ERRORS.RESULT_TOO_LARGE, message), false)
    return
  }
  releasePlacement(ctx, task, placement, 'succeeded', report)
  endTask(ctx, task, 'succeeded', undefined, { placement, report })
}

function stopped(end: Ending, report: AttemptReport): void {
  const { ctx, task, placement } = end
  const reason = placement.stopReason
  releasePlacement(ctx, task, placement, 'stopped', report)
  if (reason === 'timeout') {
    const message = `the attempt ran longer than ${task.spec.startToCloseMs} ms`
    fail(end, report.error ?? retryableError(TASK_ERRORS.TIMEOUT, message), true)
  } else if (reason === 'drain' && task.spec.delivery === 'at-least-once') {
    putBack(end, retryableError(TASK_ERRORS.STOPPED, `node ${placement.node} was drained`))
  } else {
    fail(end, report.error ?? retryableError(TASK_ERRORS.STOPPED, 'the attempt was stopped'), true)
  }
}

/** Puts the task back in line without counting its attempt. */
function putBack(end: Ending, error: TaskError): void {
  const { ctx, task } = end
  if (task.uncounted >= LIMITS.taskAttempts) {
    fail(end, error, false)
    return
  }
  task.uncounted++
  task.lastError = error
  requeue(ctx, task, end.retryDelayMs)
}

/** Counts the attempt as failed. `unknown`: how far the attempt got is not known. */
function fail(end: Ending, error: TaskError, unknown: boolean): void {
  const { ctx, task, placement, report } = end
  const { delivery, retry } = task.spec
  task.lastFailedOn = placement.node
  task.lastError = error
  if (delivery === 'at-most-once') {
    const final = unknown ? finalError(TASK_ERRORS.MAYBE_RAN, error.message) : error
    endTask(ctx, task, 'failed', final, { placement, report })
  } else if (!error.retryable || task.attempts - task.uncounted >= retry.maxAttempts) {
    endTask(ctx, task, 'failed', error, { placement, report })
  } else {
    requeue(ctx, task, end.retryDelayMs)
  }
}
