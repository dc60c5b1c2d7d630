/**
 * State as rows: what changed goes out by `drainChanges`, everything comes back by `loadState`.
 *
 * 1. After a drain, the hot rows of the store are exactly the objects in memory, and the checksum is the sum over them.
 *    So a snapshot (its rows) plus the entries after it gives the same state and checksum as the whole log.
 * 2. Rows are encoded at the drain only; between two drains an object costs one row however often it changed.
 * 3. History rows and blobs are written once, read from the store, and never enter the checksum.
 */
import type { TaskId } from '../base/ids.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { DIRTY, REMOVED, STORED } from './changes.ts'
import { ChecksumSum, hashBytes, hashRow, lanes } from './checksum.ts'
import type { Row } from './keys.ts'
import {
  COUNTERS_KEY,
  SETTINGS_KEY,
  blobKey,
  historyIndexKey,
  historyKey,
  idempotencyKey,
  lingeringKey,
  modelKey,
  nodeKey,
  sessionKey,
  taskKey,
  tombstoneKey
} from './keys.ts'
import { readHistory, writeHistory } from './history-codec.ts'
import { writeModel } from './model-codec.ts'
import {
  writeCounters,
  writeKept,
  writeNode,
  writeSession,
  writeSettings,
  writeTask,
  writeTombstone
} from './record-codec.ts'
import { RECORD_VERSION, corrupt, expectVersion } from './record-version.ts'
import type { SchedulerState } from './state.ts'
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

export { loadState } from './load.ts'
export { RECORD_VERSION } from './record-version.ts'

/** What to write to the store, in one batch. Deletes come before puts. */
export interface StateChanges {
  readonly deletes: readonly string[]
  readonly puts: readonly Row[]
}

/** How one kind of object becomes a row. */
interface RowKind<T> {
  readonly key: (item: T) => string
  readonly write: (out: ByteWriter, item: T) => void
}

const TASK: RowKind<Task> = { key: (task) => taskKey(task.id), write: writeTask }
const LINGERING: RowKind<Task> = { key: (task) => lingeringKey(task.id), write: writeTask }
const TOMBSTONE: RowKind<Tombstone> = { key: (item) => tombstoneKey(item.id), write: writeTombstone }
const NODE: RowKind<ClusterNode> = { key: (node) => nodeKey(node.id), write: writeNode }
const SESSION: RowKind<Session> = {
  key: (session) => sessionKey(session.node, session.incarnation),
  write: writeSession
}
const KEPT: RowKind<KeptKey> = { key: (kept) => idempotencyKey(kept.key), write: writeKept }
const MODEL: RowKind<ModelRecord> = { key: (model) => modelKey(model.version), write: writeModel }
const COUNTERS: RowKind<SchedulerState> = { key: () => COUNTERS_KEY, write: writeCounters }
const SETTINGS: RowKind<SchedulerState> = {
  key: () => SETTINGS_KEY,
  write: (out, state) => {
    writeSettings(out, state.settings)
  }
}

const writer = new ByteWriter()
const NO_VALUE = new Uint8Array(0)

function encode<T>(item: T, write: (out: ByteWriter, item: T) => void): Uint8Array {
  writer.begin()
  writer.uint(RECORD_VERSION)
  write(writer, item)
  return writer.take()
}

interface Drain {
  readonly deletes: string[]
  readonly puts: Row[]
  readonly checksum: ChecksumSum
}

/** Encodes what changed since the last drain and brings the checksum up to it. */
export function drainChanges(state: SchedulerState): StateChanges {
  const { changes } = state
  const drain: Drain = { deletes: changes.coldDeletes, puts: [], checksum: changes.checksum }
  changes.coldDeletes = []
  changes.tasks = drainKind(drain, changes.tasks, TASK)
  changes.lingering = drainKind(drain, changes.lingering, LINGERING)
  changes.tombstones = drainKind(drain, changes.tombstones, TOMBSTONE)
  changes.nodes = drainKind(drain, changes.nodes, NODE)
  changes.sessions = drainKind(drain, changes.sessions, SESSION)
  changes.keys = drainKind(drain, changes.keys, KEPT)
  changes.models = drainKind(drain, changes.models, MODEL)
  if (changes.counters) putRow(drain, state.counterMark, state, COUNTERS)
  if (changes.settings) putRow(drain, state.settingsMark, state, SETTINGS)
  changes.counters = false
  changes.settings = false
  for (const [id, row] of changes.history) {
    drain.puts.push({ key: historyKey(id), value: encode(row, writeHistory) })
    if (row.status !== 'succeeded') {
      drain.puts.push({ key: historyIndexKey(row.status, id), value: NO_VALUE })
    }
  }
  for (const [key, value] of changes.blobs) drain.puts.push({ key, value })
  changes.history = new Map()
  changes.blobs = new Map()
  return { deletes: drain.deletes, puts: drain.puts }
}

/** Drains a list of dirty objects; returns the empty list that takes its place. */
function drainKind<T extends RowMark>(drain: Drain, items: readonly T[], kind: RowKind<T>): T[] {
  for (const item of items) {
    if ((item.rowFlags & REMOVED) === 0) {
      putRow(drain, item, item, kind)
    } else if ((item.rowFlags & STORED) !== 0) {
      drain.deletes.push(kind.key(item))
      drain.checksum.subtract(item.hashA, item.hashB)
      item.rowFlags = REMOVED
    }
  }
  return []
}

function putRow<T>(drain: Drain, mark: RowMark, item: T, kind: RowKind<T>): void {
  const key = kind.key(item)
  const value = encode(item, kind.write)
  if ((mark.rowFlags & STORED) !== 0) drain.checksum.subtract(mark.hashA, mark.hashB)
  hashRow(key, value)
  mark.hashA = lanes.a
  mark.hashB = lanes.b
  mark.rowFlags = (mark.rowFlags | STORED) & ~DIRTY
  drain.checksum.add(lanes.a, lanes.b)
  drain.puts.push({ key, value })
}

/** Checksum of the hot rows as last drained: 16 hexadecimal digits. */
export function stateChecksum(state: SchedulerState): string {
  return state.changes.checksum.toString()
}

/** The checksum worked out anew from every object in memory; equals `stateChecksum` right after a drain. */
export function recomputeChecksum(state: SchedulerState): string {
  const sum = new ChecksumSum()
  const add = <T>(item: T, kind: RowKind<T>): void => {
    sum.addRow(kind.key(item), encode(item, kind.write))
  }
  for (const task of state.tasks.values()) add(task, TASK)
  for (const task of state.lingering.values()) add(task, LINGERING)
  for (const tombstone of state.tombstones.values()) add(tombstone, TOMBSTONE)
  for (const node of state.nodes.values()) add(node, NODE)
  for (const sessions of state.sessions.values()) for (const session of sessions) add(session, SESSION)
  for (const kept of state.keys.values()) add(kept, KEPT)
  for (const model of state.models.values()) add(model, MODEL)
  // These two have a row from the first drain that concerned them.
  if ((state.counterMark.rowFlags & STORED) !== 0) add(state, COUNTERS)
  if ((state.settingsMark.rowFlags & STORED) !== 0) add(state, SETTINGS)
  return sum.toString()
}

/** The checksum of hot rows as a store holds them: for scrubbing, row by row. */
export function rowsChecksum(rows: Iterable<Row>): string {
  const sum = new ChecksumSum()
  for (const { key, value } of rows) sum.addRow(key, value)
  return sum.toString()
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
  return state.changes.blobs.get(blobKey(id, part))
}

/** Decodes the value of a `historyKey` row. Throws STATE_CORRUPT when it does not match its hash. */
export function decodeHistory(value: Uint8Array): HistoryRow {
  try {
    const from = new ByteReader(value)
    from.checkSeal(hashBytes)
    expectVersion(from)
    const row = readHistory(from)
    from.end()
    return row
  } catch (error) {
    throw corrupt('a history row', error)
  }
}
