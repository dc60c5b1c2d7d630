/**
 * `place`, `place-copy` and `start`. A placement is judged anew in full, so a stale plan costs a slot's moment and breaks no rule.
 */
import type { ErrorCode } from '../../base/errors.ts'
import type { Incarnation } from '../../base/ids.ts'
import { fencingToken } from '../../base/ids.ts'
import { timestampMs } from '../../base/units.ts'
import { mayBeCopied, statusOf } from '../attempts.ts'
import { touch } from '../changes.ts'
import type { PlaceCommand, PlaceCopyCommand, StartCommand } from '../commands.ts'
import { hasRoom, obstacle } from '../eligibility.ts'
import type { ClusterNode, Placement, Task } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { touchAttempts } from './context.ts'
import { fence } from './fencing.ts'

export function applyPlace(ctx: ApplyContext, command: PlaceCommand): void {
  const { state } = ctx
  const task = state.tasks.get(command.taskId)
  const node = state.nodes.get(command.node)
  const code = task?.status === 'ready' ? refusal(task, node, command.incarnation) : 'TASK_NOT_READY'
  if (task === undefined || node === undefined || code !== undefined) {
    refusePlacement(ctx, command, code ?? 'TASK_NOT_READY')
    return
  }
  task.status = 'placed'
  state.ready.delete(task.id)
  hold(ctx, task, node, false)
}

export function applyPlaceCopy(ctx: ApplyContext, command: PlaceCopyCommand): void {
  const { state } = ctx
  const task = state.tasks.get(command.taskId)
  const node = state.nodes.get(command.node)
  const code =
    task?.placement?.token === command.of ? copyRefusal(task, node, command.incarnation) : 'STALE_TOKEN'
  if (task === undefined || node === undefined || code !== undefined) {
    refusePlacement(ctx, command, code ?? 'STALE_TOKEN')
    return
  }
  task.copies++
  task.uncounted++
  hold(ctx, task, node, true)
}

function refusePlacement(ctx: ApplyContext, command: PlaceCommand | PlaceCopyCommand, code: ErrorCode): void {
  ctx.events.push({ type: 'placement-refused', taskId: command.taskId, node: command.node, code })
}

/** Begins an attempt: it holds a slot and resources of the node from here on. */
function hold(ctx: ApplyContext, task: Task, node: ClusterNode, isCopy: boolean): void {
  const { state } = ctx
  const token = fencingToken(state.lastToken + 1)
  state.lastToken = token
  task.attempts++
  task.lastToken = token
  const placement: Placement = {
    node: node.id,
    incarnation: node.incarnation,
    token,
    attempt: task.attempts,
    isCopy,
    placedAt: state.time,
    startedAt: timestampMs(0),
    stopReason: undefined
  }
  if (isCopy) task.copy = placement
  else task.placement = placement
  node.placements.add(task.id)
  const { resources } = task.spec
  for (const name in resources) node.used[name] = (node.used[name] ?? 0) + (resources[name] ?? 0)
  touch(state.changes.tasks, task)
  ctx.events.push({ type: 'task-placed', task, placement })
}

/** Why a node takes no attempt of a task; undefined when it does. */
function refusal(task: Task, node: ClusterNode | undefined, incarnation: Incarnation): ErrorCode | undefined {
  if (node === undefined) return 'NODE_NOT_FOUND'
  if (node.status === 'leaving') return 'NODE_LEAVING'
  if (!node.open || node.incarnation !== incarnation) return 'STALE_INCARNATION'
  if (obstacle(task.spec, node.offer) !== undefined) return 'INELIGIBLE_NODE'
  return hasRoom(task.spec.resources, node) ? undefined : 'NO_CAPACITY'
}

function copyRefusal(
  task: Task,
  node: ClusterNode | undefined,
  incarnation: Incarnation
): ErrorCode | undefined {
  if (!mayBeCopied(task)) return 'COPY_NOT_ALLOWED'
  return task.placement?.node === node?.id ? 'INELIGIBLE_NODE' : refusal(task, node, incarnation)
}

export function applyStart(ctx: ApplyContext, command: StartCommand): void {
  const live = fence(ctx, command.taskId, command.token)
  if (live === undefined) return
  const { task, placement } = live
  if (placement.startedAt !== 0) return
  placement.startedAt = command.startedAt
  task.status = statusOf(task)
  touchAttempts(ctx.state, task)
  ctx.events.push({ type: 'task-started', task, placement })
}
