/**
 * `retire` and `expire-keys`: records leave only by command, so that all nodes forget the same at the same index.
 */
import type { TaskId } from '../../base/ids.ts'
import { taskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import { forgetHistory, remove } from '../changes.ts'
import type { RetireCommand } from '../commands.ts'
import type { SchedulerState } from '../state.ts'
import type { KeptKey } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { unpin } from './transitions.ts'

export function applyRetire(ctx: ApplyContext, command: RetireCommand): void {
  const { state } = ctx
  for (let count = 0; count < LIMITS.batchTasks; count++) {
    const oldest = state.retirable.peek()
    if (oldest === undefined) return
    if (oldest.finishedAt >= command.before && state.tombstones.size <= state.settings.historyTasks) return
    state.retirable.shift()
    state.tombstones.delete(oldest.id)
    remove(state.changes.tombstones, oldest)
    forgetHistory(state.changes, oldest)
    if (oldest.id > state.highestRetired) state.highestRetired = oldest.id
    ctx.events.push({ type: 'task-retired', taskId: oldest.id })
  }
}

/** At least one key a command, whatever it keeps: a submission is bounded itself. */
export function applyExpireKeys(ctx: ApplyContext): void {
  const { state } = ctx
  let touched = 0
  while (touched < LIMITS.batchTasks) {
    const firstId = state.expiringKeys.popDue(state.time)
    const kept = firstId === undefined ? undefined : state.keyOfFirst.get(taskId(firstId))
    if (kept === undefined) return
    dropKey(state, kept)
    touched += kept.count
  }
}

/** Forgets a key and lets go of the tasks that it stands for. */
export function dropKey(state: SchedulerState, kept: KeptKey): void {
  state.keys.delete(kept.key)
  state.keyOfFirst.delete(kept.firstId)
  remove(state.changes.keys, kept)
  for (let offset = 0; offset < kept.count; offset++) unpin(state, (kept.firstId + offset) as TaskId)
}
