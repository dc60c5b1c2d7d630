/**
 * `cancel`, `stop` and `expire`: how a task is told to end. A live attempt is only told; it ends when its node says so,
 * and keeps its slot until then. The first reason stays, except that a cancellation overrides the others.
 *
 * `cancel` and `replace` mean the task and so both of its attempts, when it has two; the other reasons mean one attempt.
 */
import { statusOf } from '../attempts.ts'
import { touch } from '../changes.ts'
import type { CancelCommand, ExpireCommand, StopCommand } from '../commands.ts'
import type { SchedulerState } from '../state.ts'
import { TASK_ERRORS, finalError } from '../task-errors.ts'
import type { Outcome, Placement, StopReason, Task } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { accepted, rejected } from './context.ts'
import { fence } from './fencing.ts'
import { endTask } from './transitions.ts'

export function applyCancel(ctx: ApplyContext, { taskId }: CancelCommand): Outcome {
  const { state } = ctx
  const task = state.tasks.get(taskId)
  if (task === undefined) return cancelEnded(state, taskId)
  if (task.placement === undefined) {
    endTask(ctx, task, 'cancelled', undefined)
    return accepted({ type: 'cancelled', status: 'cancelled' })
  }
  tellAll(ctx, task, 'cancel')
  return accepted({ type: 'cancelled', status: 'stopping' })
}

function cancelEnded(state: SchedulerState, taskId: CancelCommand['taskId']): Outcome {
  const tombstone = state.tombstones.get(taskId)
  if (tombstone?.status === 'cancelled') return accepted({ type: 'cancelled', status: 'cancelled' })
  if (tombstone !== undefined) return rejected('ALREADY_TERMINAL', `t-${taskId} is ${tombstone.status}`)
  return taskId <= state.highestRetired
    ? rejected('RETIRED', `the record of t-${taskId} was retired`)
    : rejected('TASK_NOT_FOUND', `there is no t-${taskId}`)
}

export function applyStop(ctx: ApplyContext, command: StopCommand): void {
  const live = fence(ctx, command.taskId, command.token)
  // What outlives its task was told to stop when the task ended.
  if (live === undefined || ctx.state.lingering.has(live.task.id)) return
  const { reason } = command
  if (reason === 'cancel' || reason === 'replace') tellAll(ctx, live.task, reason)
  else tellToStop(ctx, live.task, live.placement, reason)
}

function tellAll(ctx: ApplyContext, task: Task, reason: StopReason): void {
  if (task.placement !== undefined) tellToStop(ctx, task, task.placement, reason)
  if (task.copy !== undefined) tellToStop(ctx, task, task.copy, reason)
}

function tellToStop(ctx: ApplyContext, task: Task, placement: Placement, reason: StopReason): void {
  const overrides = reason === 'cancel' || reason === 'replace'
  const settled = placement.stopReason === 'cancel' || placement.stopReason === 'replace'
  if (settled || (placement.stopReason !== undefined && !overrides)) return
  placement.stopReason = reason
  task.status = statusOf(task)
  touch(ctx.state.changes.tasks, task)
  ctx.events.push({ type: 'task-stopping', task, placement, reason })
}

export function applyExpire(ctx: ApplyContext, { taskId }: ExpireCommand): void {
  const { state } = ctx
  const task = state.tasks.get(taskId)
  if (task?.status !== 'ready') return
  const { scheduleToStartMs } = task.spec
  if (scheduleToStartMs === 0 || state.time < task.readyAt + scheduleToStartMs) return
  const message = `no node took the task within ${scheduleToStartMs} ms`
  endTask(ctx, task, 'failed', finalError(TASK_ERRORS.SCHEDULE_TO_START, message))
}
