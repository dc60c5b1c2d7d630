import { invariant } from '../base/invariant.ts'
import type { Row } from './keys.ts'
import type { SchedulerState } from './state.ts'
import type { HistoryRow } from './types.ts'
import type { TaskId } from '../base/ids.ts'
/** Version of all row encodings; nodes compare checksums only when it is equal. */
export const RECORD_VERSION = 1
/** What to write to the store. Deletes are applied before puts. */
export interface StateChanges {
  readonly deletes: readonly string[]
  readonly puts: readonly Row[]
}
/** Encodes what changed since the last drain and updates the checksum. */
export function drainChanges(state: SchedulerState): StateChanges {
  invariant(false, `stub ${state.time}`)
}
/** The state that hot rows (HOT_ROWS) describe; other keys are refused. Throws STATE_CORRUPT / DATA_VERSION_UNSUPPORTED. */
export function loadState(rows: Iterable<Row>): SchedulerState {
  invariant(false, `stub ${typeof rows}`)
}
/** Checksum of the hot rows as last drained: 16 hexadecimal digits. */
export function stateChecksum(state: SchedulerState): string {
  return state.changes.checksum.toString()
}
/** The checksum worked out anew from every object in memory; equals `stateChecksum` right after a drain. */
export function recomputeChecksum(state: SchedulerState): string {
  return stateChecksum(state)
}
/** Decodes the value of a `historyKey` row. */
export function decodeHistory(value: Uint8Array): HistoryRow {
  invariant(false, `stub ${value.length}`)
}
/** History row of a task that ended since the last drain; else read `historyKey(id)` in the store. */
export function undrainedHistory(state: SchedulerState, id: TaskId): HistoryRow | undefined {
  return state.changes.history.get(id)
}
/** Blob written since the last drain; else read `blobKey(id, part)` in the store. */
export function undrainedBlob(
  state: SchedulerState,
  id: TaskId,
  part: 'input' | 'result'
): Uint8Array | undefined {
  return state.changes.blobs.get(part + String(id))
}
