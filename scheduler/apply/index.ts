import { invariant } from '../../base/invariant.ts'
import type { CommandBatch } from '../commands.ts'
import type { SchedulerEvent } from '../events.ts'
import type { SchedulerState } from '../state.ts'
/** Applies one log entry; appends what happened to `events`. Never throws on a batch that `decodeBatch` returned. */
export function applyBatch(state: SchedulerState, batch: CommandBatch, events: SchedulerEvent[]): void {
  invariant(false, `stub ${state.time} ${batch.stampedAt} ${events.length}`)
}
