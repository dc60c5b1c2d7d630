/**
 * `place` and `start`. A placement is judged anew in full, so a stale plan costs a slot's moment and breaks no rule.
 */
import type { ErrorCode } from '../../base/errors.ts'
import { fencingToken } from '../../base/ids.ts'
import { timestampMs } from '../../base/units.ts'
import { touch } from '../changes.ts'
import type { PlaceCommand, StartCommand } from '../commands.ts'
import { hasRoom, obstacle } from '../eligibility.ts'
import type { ClusterNode, Placement, Task } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { fence } from './fencing.ts'

export function applyPlace(ctx: ApplyContext, command: PlaceCommand): void {
  const { state } = ctx
  const task = state.tasks.get(command.taskId)
  const node = state.nodes.get(command.node)
  const code = refusal(task, node, command)
  if (task === undefined || node === undefined || code !== undefined) {
    ctx.events.push({
      type: 'placement-refused',
      taskId: command.taskId,
      node: command.node,
      code: code ?? 'TASK_NOT_READY'
    })
    return
  }
  const token = fencingToken(state.lastToken + 1)
  state.lastToken = token
  task.attempts++
  task.lastToken = token
  task.status = 'placed'
  const placement: Placement = {
    node: node.id,
    incarnation: node.incarnation,
    token,
    attempt: task.attempts,
    placedAt: state.time,
    startedAt: timestampMs(0),
    stopReason: undefined
  }
  task.placement = placement
  state.ready.delete(task.id)
  node.placements.add(task.id)
  const { resources } = task.spec
  for (const name in resources) node.used[name] = (node.used[name] ?? 0) + (resources[name] ?? 0)
  touch(state.changes.tasks, task)
  ctx.events.push({ type: 'task-placed', task, placement })
}

function refusal(
  task: Task | undefined,
  node: ClusterNode | undefined,
  command: PlaceCommand
): ErrorCode | undefined {
  if (task?.status !== 'ready') return 'TASK_NOT_READY'
  if (node === undefined) return 'NODE_NOT_FOUND'
  if (node.status === 'leaving') return 'NODE_LEAVING'
  if (!node.open || node.incarnation !== command.incarnation) return 'STALE_INCARNATION'
  if (obstacle(task.spec, node.offer) !== undefined) return 'INELIGIBLE_NODE'
  return hasRoom(task.spec.resources, node) ? undefined : 'NO_CAPACITY'
}

export function applyStart(ctx: ApplyContext, command: StartCommand): void {
  const live = fence(ctx, command.taskId, command.token)
  if (live === undefined) return
  const { task, placement } = live
  if (placement.startedAt !== 0) return
  placement.startedAt = command.startedAt
  if (task.status === 'placed') task.status = 'running'
  touch(ctx.state.changes.tasks, task)
  ctx.events.push({ type: 'task-started', task, placement })
}
