/**
 * Names of rows in the store. Hot rows are the replicated state that lives in memory and enters the checksum; cold ones
 * (history, its index, blobs) are written once and deleted at retirement. Numbers are padded so that the order of keys is
 * the order of numbers.
 */
import type { Incarnation, NodeId, TaskId } from '../base/ids.ts'
import type { TerminalStatus } from './types.ts'

/** A row of the store: a key in ASCII and its value. */
export interface Row {
  readonly key: string
  readonly value: Uint8Array
}

/** A half-open range of keys. */
interface KeyRange {
  readonly gte: string
  readonly lt: string
}

const digits = (value: number): string => value.toString().padStart(16, '0')

export const COUNTERS_KEY = 'sc'
export const SETTINGS_KEY = 'ss'
export const taskKey = (id: TaskId): string => `st${digits(id)}`
/** The rest of an ended task: an attempt that still stops. */
export const lingeringKey = (id: TaskId): string => `sl${digits(id)}`
export const tombstoneKey = (id: TaskId): string => `se${digits(id)}`
export const nodeKey = (id: NodeId): string => `sn${digits(id)}`
export const sessionKey = (node: NodeId, incarnation: Incarnation): string =>
  `so${digits(node)}${digits(incarnation)}`
export const modelKey = (version: number): string => `sm${digits(version)}`
/** A user's key is text of any kind, so it stands last. */
export const idempotencyKey = (key: string): string => `sk${key}`

/** Where an ended task's `HistoryRow` lies. Newest first: read `HISTORY_ROWS` backwards. */
export const historyKey = (id: TaskId): string => `ch${digits(id)}`
/** An empty row for each ended task that did not succeed, so that the rare ones can be listed by status. */
export const historyIndexKey = (status: TerminalStatus, id: TaskId): string => `ci${status}/${digits(id)}`
/** Where the bytes lie that a `StoredBlob` stands for. */
export const blobKey = (id: TaskId, part: 'input' | 'result'): string => `cb${digits(id)}${part}`

/** All rows that `loadState` takes. */
export const HOT_ROWS: KeyRange = { gte: 's', lt: 't' }
export const HISTORY_ROWS: KeyRange = { gte: 'ch', lt: 'ci' }
/** The rows of `historyIndexKey` for one status; ends of keys are padded ids. */
export const historyIndexRows = (status: TerminalStatus): KeyRange => ({
  gte: `ci${status}/`,
  lt: `ci${status}0`
})

/** Whether a key names a row that lives in memory and enters the checksum. */
export function isHotKey(key: string): boolean {
  return key.startsWith('s')
}
