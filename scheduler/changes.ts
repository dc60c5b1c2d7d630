/**
 * What changed since the last drain: which rows are dirty or gone, and which cold rows are new.
 *
 * Owns the marks on row objects. A row that is put and deleted between two drains leaves no trace. Encoding and hashing
 * wait for the drain (`records.ts`), so ten changes of a task cost one row.
 */
import type { TaskId } from '../base/ids.ts'
import { ChecksumSum } from './checksum.ts'
import { blobKey, historyIndexKey, historyKey } from './keys.ts'
import type {
  ClusterNode,
  HistoryRow,
  KeptKey,
  ModelRecord,
  RowMark,
  Session,
  Task,
  Tombstone
} from './types.ts'

/** In the dirty list. */
export const DIRTY = 1
/** The store holds an earlier form of the row. */
export const STORED = 2
/** No longer part of the state. */
export const REMOVED = 4

export interface ChangeLog {
  tasks: Task[]
  lingering: Task[]
  tombstones: Tombstone[]
  nodes: ClusterNode[]
  sessions: Session[]
  keys: KeptKey[]
  models: ModelRecord[]
  counters: boolean
  settings: boolean
  /** History rows and blobs that were not drained yet: read here first, then in the store. */
  history: Map<TaskId, HistoryRow>
  blobs: Map<string, Uint8Array>
  /** Cold rows of the store that are to go. */
  coldDeletes: string[]
  readonly checksum: ChecksumSum
}

export function createChangeLog(): ChangeLog {
  return {
    tasks: [],
    lingering: [],
    tombstones: [],
    nodes: [],
    sessions: [],
    keys: [],
    models: [],
    counters: false,
    settings: false,
    history: new Map(),
    blobs: new Map(),
    coldDeletes: [],
    checksum: new ChecksumSum()
  }
}

/** Notes that a row object was created or changed. `list` is the change log's list of its kind. */
export function touch<T extends RowMark>(list: T[], item: T): void {
  if ((item.rowFlags & DIRTY) !== 0) return
  item.rowFlags |= DIRTY
  list.push(item)
}

/** Notes that a row object left the state. */
export function remove<T extends RowMark>(list: T[], item: T): void {
  item.rowFlags |= REMOVED
  touch(list, item)
}

/** Notes that an ended task's cold rows are to go. */
export function forgetHistory(changes: ChangeLog, tombstone: Tombstone): void {
  const { id, status, blobs } = tombstone
  if (!changes.history.delete(id)) {
    changes.coldDeletes.push(historyKey(id))
    if (status !== 'succeeded') changes.coldDeletes.push(historyIndexKey(status, id))
  }
  if ((blobs & 1) !== 0) forgetBlob(changes, blobKey(id, 'input'))
  if ((blobs & 2) !== 0) forgetBlob(changes, blobKey(id, 'result'))
}

function forgetBlob(changes: ChangeLog, key: string): void {
  if (!changes.blobs.delete(key)) changes.coldDeletes.push(key)
}
