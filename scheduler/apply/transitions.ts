/**
 * The moves of a task that several commands share: getting ready, leaving its node, ending, and telling its dependents.
 *
 * 1. `endTask` is the only way to a terminal status; `releasePlacement` and, for an attempt that outlives its task,
 *    `endLingering` are the only ways off a node.
 * 2. The end of a task reaches its dependents through `spread`, by rising id and within the command's budget; what is
 *    left over stays in `state.spreading` for a later command. No recursion.
 * 3. A tombstone is queued for retirement exactly when nothing pins it and all dependents know.
 */
import type { FencingToken, TaskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import type { DurationMs } from '../../base/units.ts'
import { durationMs, timestampMs } from '../../base/units.ts'
import { statusOf } from '../attempts.ts'
import { remove, touch } from '../changes.ts'
import type { AttemptReport } from '../commands.ts'
import type { AttemptEnd } from '../events.ts'
import { blobKey } from '../keys.ts'
import type { SchedulerState } from '../state.ts'
import { NO_DEPENDENTS, SPREAD_DONE } from '../state.ts'
import { TASK_ERRORS, finalError } from '../task-errors.ts'
import type { Blob, Placement, Task, TaskError, TerminalStatus, Tombstone } from '../types.ts'
import { NO_BYTES } from '../bytes.ts'
import type { ApplyContext } from './context.ts'

/** Makes a task that waits for no other ready, now or when its `notBefore` comes. */
export function makeReady(ctx: ApplyContext, task: Task): void {
  const { state } = ctx
  touch(state.changes.tasks, task)
  if (task.notBefore > state.time) {
    task.status = 'pending'
    state.delayed.push(task.id, task.notBefore)
    return
  }
  task.status = 'ready'
  task.readyAt = state.time
  state.ready.add(task.id)
  const { scheduleToStartMs } = task.spec
  if (scheduleToStartMs > 0) state.expiring.push(task.id, task.readyAt + scheduleToStartMs)
  ctx.events.push({ type: 'task-ready', task })
}

/** Puts a task whose attempt is over back in line, after a delay. */
export function requeue(ctx: ApplyContext, task: Task, delayMs: DurationMs): void {
  task.notBefore = timestampMs(ctx.state.time + Math.min(delayMs, LIMITS.taskDurationMs))
  makeReady(ctx, task)
}

/** Takes a live attempt off its node: slot and resources are free from here on. A sibling of it goes on. */
export function releasePlacement(
  ctx: ApplyContext,
  task: Task,
  placement: Placement,
  end: AttemptEnd,
  report?: AttemptReport
): void {
  if (task.placement === placement) task.placement = task.copy
  task.copy = undefined
  if (task.placement !== undefined) task.status = statusOf(task)
  touch(ctx.state.changes.tasks, task)
  free(ctx, task, placement, end, report)
}

/** Leaves the attempt behind that lives on when its sibling ends the task: told to stop, and holding its slot until it has. */
export function linger(ctx: ApplyContext, task: Task, placement: Placement): void {
  const { state } = ctx
  const rest: Task = {
    ...task,
    rowFlags: 0,
    hashA: 0,
    hashB: 0,
    status: 'stopping',
    waitingOn: 0,
    dependents: NO_DEPENDENTS,
    pins: 0,
    placement,
    copy: undefined
  }
  task.placement = undefined
  state.lingering.set(task.id, rest)
  touch(state.changes.lingering, rest)
  if (placement.stopReason !== undefined) return
  placement.stopReason = 'superseded'
  ctx.events.push({ type: 'task-stopping', task: rest, placement, reason: 'superseded' })
}

/** Ends an attempt that outlived its task. */
export function endLingering(
  ctx: ApplyContext,
  task: Task,
  placement: Placement,
  end: AttemptEnd,
  report?: AttemptReport
): void {
  const { state } = ctx
  state.lingering.delete(task.id)
  remove(state.changes.lingering, task)
  free(ctx, task, placement, end, report)
}

function free(
  ctx: ApplyContext,
  task: Task,
  placement: Placement,
  end: AttemptEnd,
  report: AttemptReport | undefined
): void {
  const node = ctx.state.nodes.get(placement.node)
  if (node !== undefined) {
    node.placements.delete(task.id)
    const { resources } = task.spec
    for (const name in resources) node.used[name] = (node.used[name] ?? 0) - (resources[name] ?? 0)
  }
  ctx.events.push({
    type: 'attempt-ended',
    task,
    placement,
    end,
    runMs: report?.runMs ?? 0,
    peakMemoryBytes: report?.peakMemoryBytes ?? 0
  })
}

/** The last attempt of a task that ends, as far as it is known. */
export interface LastAttempt {
  readonly placement: Placement
  readonly report: AttemptReport | undefined
}

/** Ends a task that holds no placement any more. */
export function endTask(
  ctx: ApplyContext,
  task: Task,
  status: TerminalStatus,
  error: TaskError | undefined,
  last?: LastAttempt
): void {
  const { state } = ctx
  if (task.status === 'ready') {
    state.ready.delete(task.id)
    ctx.events.push({ type: 'task-withdrawn', task })
  }
  state.tasks.delete(task.id)
  remove(state.changes.tasks, task)
  const result = keepResult(state, task.id, status === 'succeeded' ? last?.report?.result : undefined)
  const token = last?.placement.token ?? task.lastToken
  bury(state, task, status, token, result)
  const row = {
    id: task.id,
    group: task.group,
    spec: task.spec,
    status,
    submittedAt: task.submittedAt,
    readyAt: task.readyAt,
    startedAt: last?.report?.startedAt ?? last?.placement.startedAt ?? timestampMs(0),
    finishedAt: state.time,
    attempts: task.attempts,
    copies: task.copies,
    attempt: last?.placement.attempt ?? 0,
    node: last?.placement.node ?? task.lastFailedOn,
    token: token === 0 ? undefined : token,
    result,
    error,
    runMs: last?.report?.runMs ?? durationMs(0),
    peakMemoryBytes: last?.report?.peakMemoryBytes ?? 0
  }
  state.changes.history.set(task.id, row)
  ctx.events.push({ type: 'task-ended', row })
  for (const need of task.spec.needs) unpin(state, need.id)
}

function keepResult(state: SchedulerState, id: TaskId, result: Uint8Array | undefined): Blob {
  if (result === undefined) return NO_BYTES
  if (result.length <= LIMITS.inlineBytes) return result
  state.changes.blobs.set(blobKey(id, 'result'), result)
  return { sizeBytes: result.length }
}

function bury(
  state: SchedulerState,
  task: Task,
  status: TerminalStatus,
  token: FencingToken,
  result: Blob
): void {
  // Whether a dependent lives is the same on all nodes; how many dead ones the list still names is not.
  const tells = task.dependents.some((id) => state.tasks.has(id))
  const tombstone: Tombstone = {
    rowFlags: 0,
    hashA: 0,
    hashB: 0,
    id: task.id,
    status,
    finishedAt: state.time,
    token,
    blobs: ('sizeBytes' in task.spec.input ? 1 : 0) | ('sizeBytes' in result ? 2 : 0),
    order: state.nextOrder++,
    spreadTo: tells ? 0 : SPREAD_DONE,
    dependents: task.dependents,
    pins: task.pins
  }
  state.tombstones.set(task.id, tombstone)
  touch(state.changes.tombstones, tombstone)
  if (tells) state.spreading.add(task.id)
  else if (task.pins === 0) state.retirable.push(tombstone)
}

function mayRetire(state: SchedulerState, tombstone: Tombstone): void {
  if (tombstone.pins > 0 || tombstone.spreadTo !== SPREAD_DONE) return
  tombstone.order = state.nextOrder++
  state.retirable.push(tombstone)
  touch(state.changes.tombstones, tombstone)
}

/** Takes one pin off a task's record, live or ended. */
export function unpin(state: SchedulerState, id: TaskId): void {
  const tombstone = state.tombstones.get(id)
  if (tombstone !== undefined) {
    tombstone.pins--
    mayRetire(state, tombstone)
    return
  }
  const task = state.tasks.get(id)
  if (task !== undefined) task.pins--
}

/** Tells dependents of ended tasks, in the order of the ends, as far as the budget goes. */
export function spread(ctx: ApplyContext): void {
  const { state } = ctx
  while (ctx.budget > 0) {
    const first = state.spreading.values().next()
    if (first.done === true) return
    const tombstone = state.tombstones.get(first.value)
    if (tombstone === undefined || spreadFrom(ctx, tombstone)) state.spreading.delete(first.value)
  }
}

/** Returns whether all dependents of the tombstone know. */
function spreadFrom(ctx: ApplyContext, tombstone: Tombstone): boolean {
  const { state } = ctx
  const { dependents } = tombstone
  touch(state.changes.tombstones, tombstone)
  for (let index = firstAbove(dependents, tombstone.spreadTo); index < dependents.length; index++) {
    const id = dependents[index]
    const dependent = id === undefined ? undefined : state.tasks.get(id)
    if (dependent === undefined) continue
    if (ctx.budget <= 0) return false
    ctx.budget--
    tombstone.spreadTo = dependent.id
    if (tombstone.status === 'succeeded') {
      dependent.waitingOn--
      if (dependent.waitingOn === 0) makeReady(ctx, dependent)
    } else {
      endTask(ctx, dependent, 'skipped', needFailed(tombstone))
    }
  }
  tombstone.spreadTo = SPREAD_DONE
  tombstone.dependents = NO_DEPENDENTS
  mayRetire(state, tombstone)
  return true
}

/** Why a dependent of an unsuccessful task is skipped. */
export function needFailed(need: Tombstone): TaskError {
  return finalError(TASK_ERRORS.NEED_FAILED, `t-${need.id}, which it needs, is ${need.status}`)
}

/** Index of the first id above `bound` in a rising list. */
function firstAbove(ids: readonly TaskId[], bound: number): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ids[middle] ?? 0) > bound) high = middle
    else low = middle + 1
  }
  return low
}
