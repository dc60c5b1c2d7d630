/**
 * Which live attempts there are: a task has one, or two when one is a copy, or is over and one of the two still stops.
 *
 * 1. Two live attempts of a task are on different nodes, so (node, task) names one; a node's `placements` are such tasks.
 * 2. `task.copy` is there only beside `task.placement`. When the latter ends first, the copy takes its place.
 */
import type { FencingToken, NodeId, TaskId } from '../base/ids.ts'
import { LIMITS } from '../base/limits.ts'
import type { SchedulerState } from './state.ts'
import type { LiveStatus, Placement, Task } from './types.ts'

/** The task that a live attempt belongs to, also when the task itself has ended. */
export function taskOfAttempts(state: SchedulerState, id: TaskId): Task | undefined {
  return state.tasks.get(id) ?? state.lingering.get(id)
}

/** The live attempt that holds a token. */
export function placementWith(task: Task | undefined, token: FencingToken): Placement | undefined {
  if (task?.placement?.token === token) return task.placement
  return task?.copy?.token === token ? task.copy : undefined
}

/** The live attempt that a task has on a node. */
export function placementOn(task: Task | undefined, node: NodeId): Placement | undefined {
  if (task?.placement?.node === node) return task.placement
  return task?.copy?.node === node ? task.copy : undefined
}

/** The status of a task with live attempts: `stopping` when all are to stop, `running` when one of the others has started. */
export function statusOf({ placement, copy }: Task): LiveStatus {
  const goOn = [placement, copy].filter(
    (attempt) => attempt !== undefined && attempt.stopReason === undefined
  )
  if (goOn.length === 0) return 'stopping'
  return goOn.some((attempt) => attempt !== undefined && attempt.startedAt > 0) ? 'running' : 'placed'
}

/** Whether the task machine would take a copy of the task's attempt, on a node that may run it. */
export function mayBeCopied(task: Task): boolean {
  const { spec, status, copy, uncounted } = task
  if (!spec.idempotent || spec.delivery === 'at-most-once' || copy !== undefined) return false
  return (status === 'placed' || status === 'running') && uncounted < LIMITS.taskAttempts
}
