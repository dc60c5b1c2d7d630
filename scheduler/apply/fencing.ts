/**
 * The check that every effect of an attempt passes: its token must be the one of a live attempt of the task.
 */
import type { FencingToken, TaskId } from '../../base/ids.ts'
import { placementWith, taskOfAttempts } from '../attempts.ts'
import type { Placement, Task } from '../types.ts'
import type { ApplyContext } from './context.ts'

/** The attempt that a token stands for, or undefined after telling that the effect was refused. */
export function fence(
  ctx: ApplyContext,
  taskId: TaskId,
  token: FencingToken
): { task: Task; placement: Placement } | undefined {
  const task = taskOfAttempts(ctx.state, taskId)
  const placement = placementWith(task, token)
  if (task !== undefined && placement !== undefined) return { task, placement }
  const last = ctx.state.tombstones.get(taskId)?.token ?? task?.lastToken
  ctx.events.push({ type: 'report-refused', taskId, token, stale: token !== last })
  return undefined
}
