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
 *
 * Of two attempts of a task the first success ends it; the other one is told to stop, and what it did after is refused as
 * superseded. While one of two lives, the end of the other is recorded and has no further consequence; the last one to end
 * decides, except that a final error of the first stands. Copies go uncounted.
 */
import { LIMITS } from '../../base/limits.ts'
import type { DurationMs } from '../../base/units.ts'
import type { AttemptReport } from '../commands.ts'
import { TASK_ERRORS, finalError, retryableError } from '../task-errors.ts'
import type { Placement, Task, TaskError } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { fence } from './fencing.ts'
import { endLingering, endTask, linger, releasePlacement, requeue } from './transitions.ts'

/** Judges a node's report. Used for completions and for the outbox of an announcement. */
export function applyReport(ctx: ApplyContext, report: AttemptReport, retryDelayMs: DurationMs): void {
  const live = fence(ctx, report.taskId, report.token)
  if (live === undefined) return
  const { task, placement } = live
  const end: Ending = { ctx, task, placement, report, retryDelayMs }
  if (ctx.state.lingering.has(task.id)) {
    const { outcome } = report
    endLingering(ctx, task, placement, outcome === 'succeeded' ? 'superseded' : outcome, report)
  } else if (report.outcome === 'succeeded') {
    succeed(end, report)
  } else if (isCancelled(placement)) {
    releasePlacement(ctx, task, placement, report.outcome, report)
    cancelled(end)
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
  if (ctx.state.lingering.has(task.id)) {
    endLingering(ctx, task, placement, 'lost')
    return
  }
  const end: Ending = { ctx, task, placement, report: undefined, retryDelayMs }
  releasePlacement(ctx, task, placement, 'lost')
  if (isCancelled(placement)) {
    cancelled(end)
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

/** Both attempts of a task are cancelled together; the last one to end ends the task. */
function cancelled({ ctx, task, placement, report }: Ending): void {
  if (task.placement === undefined) endTask(ctx, task, 'cancelled', undefined, { placement, report })
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
  if (task.placement !== undefined) linger(ctx, task, task.placement)
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
  const { task, placement } = end
  if (!placement.isCopy) {
    if (task.uncounted >= LIMITS.taskAttempts) {
      fail(end, error, false)
      return
    }
    task.uncounted++
  }
  goOn(end, error)
}

/** Counts the attempt as failed. `unknown`: how far the attempt got is not known. */
function fail(end: Ending, error: TaskError, unknown: boolean): void {
  const { ctx, task, placement, report } = end
  task.lastFailedOn = placement.node
  if (task.spec.delivery === 'at-most-once') {
    task.lastError = error
    const final = unknown ? finalError(TASK_ERRORS.MAYBE_RAN, error.message) : error
    endTask(ctx, task, 'failed', final, { placement, report })
  } else {
    goOn(end, error)
  }
}

/** An attempt is over without success and counted: another one follows, or the end, unless its sibling lives. */
function goOn(end: Ending, error: TaskError): void {
  const { ctx, task, placement, report } = end
  const last = task.lastError
  const decisive = last?.retryable === false ? last : error
  task.lastError = decisive
  if (task.placement !== undefined) return
  if (!decisive.retryable || task.attempts - task.uncounted >= task.spec.retry.maxAttempts) {
    endTask(ctx, task, 'failed', decisive, { placement, report })
  } else {
    requeue(ctx, task, end.retryDelayMs)
  }
}
