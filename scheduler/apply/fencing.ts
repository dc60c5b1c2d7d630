/**
 * The check that every effect of an attempt passes: its token must be the one of the task's live placement.
 */
import type { FencingToken, TaskId } from '../../base/ids.ts'
import type { Placement, Task } from '../types.ts'
import type { ApplyContext } from './context.ts'

/** The attempt that a token stands for, or undefined after telling that the effect was refused. */
export function fence(
  ctx: ApplyContext,
  taskId: TaskId,
  token: FencingToken
): { task: Task; placement: Placement } | undefined {
  const task = ctx.state.tasks.get(taskId)
  const placement = task?.placement
  if (task !== undefined && placement?.token === token) return { task, placement }
  const last = task?.lastToken ?? ctx.state.tombstones.get(taskId)?.token
  ctx.events.push({ type: 'report-refused', taskId, token, stale: token !== last })
  return undefined
}
