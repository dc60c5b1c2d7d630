/**
 * What state and time ask of a leader whatever users do: tasks whose moment has come, records that may go, ends that were
 * too large for one command. Any leader finds them in state, so none depends on a timer that died with another.
 */
import { taskId } from '../../base/ids.ts'
import type { TimestampMs } from '../../base/units.ts'
import { durationMs, timestampMs } from '../../base/units.ts'
import { placementOn, taskOfAttempts } from '../attempts.ts'
import type { Command, EndIncarnationCommand } from '../commands.ts'
import type { SchedulerState } from '../state.ts'
import type { ClusterNode } from '../types.ts'

/**
 * At most `limit` commands. Ask again only after the entry that carried the former answer was applied, else the same comes
 * again (harmless: each is idempotent).
 */
export function dueCommands(state: SchedulerState, now: TimestampMs, limit: number): Command[] {
  const commands: Command[] = []
  for (const node of state.nodes.values()) {
    const rest = restOfIncarnation(state, node)
    if (rest !== undefined) commands.push(rest)
  }
  if (state.spreading.size > 0 || isDue(state.delayed.nextDue(), now)) commands.push({ type: 'wake' })
  if (isDue(state.expiringKeys.nextDue(), now)) commands.push({ type: 'expire-keys' })
  if (isDue(nextRetirementAt(state), now)) commands.push({ type: 'retire', before: retireBefore(state, now) })
  if (isDue(state.expiring.nextDue(), now)) {
    for (const id of state.expiring.peekDue(now, limit)) commands.push({ type: 'expire', taskId: taskId(id) })
  }
  return commands.slice(0, limit)
}

/** When `dueCommands` will next have something, in state time; undefined for never. May lie in the past. */
export function nextDueAt(state: SchedulerState): TimestampMs | undefined {
  if (state.spreading.size > 0) return state.time
  for (const node of state.nodes.values()) {
    if (restOfIncarnation(state, node) !== undefined) return state.time
  }
  let earliest = Infinity
  for (const due of [
    state.delayed.nextDue(),
    state.expiring.nextDue(),
    state.expiringKeys.nextDue(),
    nextRetirementAt(state)
  ]) {
    if (due !== undefined && due < earliest) earliest = due
  }
  return earliest === Infinity ? undefined : timestampMs(earliest)
}

function isDue(due: number | undefined, now: TimestampMs): boolean {
  return due !== undefined && due <= now
}

/** `retire` takes what ended *before* its bound. */
function retireBefore(state: SchedulerState, now: TimestampMs): TimestampMs {
  return timestampMs(Math.max(0, now - state.settings.historyMs + 1))
}

function nextRetirementAt(state: SchedulerState): number | undefined {
  const oldest = state.retirable.peek()
  if (oldest === undefined) return undefined
  if (state.tombstones.size > state.settings.historyTasks) return state.time
  return oldest.finishedAt + state.settings.historyMs
}

/** Attempts of an ended incarnation that one command could not end. They come first among a node's placements. */
function restOfIncarnation(state: SchedulerState, node: ClusterNode): EndIncarnationCommand | undefined {
  const first = node.placements.values().next()
  if (first.done === true) return undefined
  const incarnation = placementOn(taskOfAttempts(state, first.value), node.id)?.incarnation
  if (incarnation === undefined || (node.open && incarnation === node.incarnation)) return undefined
  return {
    type: 'end-incarnation',
    node: node.id,
    incarnation,
    reason: 'lost',
    retryDelayMs: durationMs(0)
  }
}
