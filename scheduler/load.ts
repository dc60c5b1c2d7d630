/**
 * `loadState`: the state that a store's hot rows describe, with everything derived built anew.
 *
 * Containers whose order decides anything (placements of a node, tombstones that may retire, ends that still spread,
 * dependents) are filled in the order that their documentation promises.
 */
import { AppError } from '../base/errors.ts'
import type { TaskId } from '../base/ids.ts'
import { taskId } from '../base/ids.ts'
import { ByteReader, malformed } from './bytes.ts'
import { STORED } from './changes.ts'
import { hashRow, lanes } from './checksum.ts'
import type { Row } from './keys.ts'
import { COUNTERS_KEY, SETTINGS_KEY } from './keys.ts'
import { readModel } from './model-codec.ts'
import {
  readCounters,
  readKept,
  readNode,
  readSession,
  readSettings,
  readTask,
  readTombstone
} from './record-codec.ts'
import { corrupt, expectVersion } from './record-version.ts'
import type { SchedulerState } from './state.ts'
import { NO_DEPENDENTS, SPREAD_DONE, createState } from './state.ts'
import type { Placement, RowMark, Task, Tombstone } from './types.ts'

/**
 * The state that hot rows (`HOT_ROWS`) describe; none at all describe the empty state. Throws STATE_CORRUPT naming the row, or
 * DATA_VERSION_UNSUPPORTED.
 */
export function loadState(rows: Iterable<Row>): SchedulerState {
  const state = createState()
  let count = 0
  for (const row of rows) {
    count++
    try {
      const from = new ByteReader(row.value)
      expectVersion(from)
      const mark = readRow(state, row.key, from)
      from.end()
      hashRow(row.key, row.value)
      mark.rowFlags = STORED
      mark.hashA = lanes.a
      mark.hashB = lanes.b
      state.changes.checksum.add(lanes.a, lanes.b)
    } catch (error) {
      throw corrupt(`row ${JSON.stringify(row.key)}`, error)
    }
  }
  if (count > 0 && state.counterMark.rowFlags === 0) {
    throw new AppError('STATE_CORRUPT', `${count} rows, but none for the counters`)
  }
  for (const sessions of state.sessions.values()) sessions.sort((a, b) => a.incarnation - b.incarnation)
  linkTasks(state)
  linkKeys(state)
  queueTasks(state)
  holdCapacity(state)
  queueTombstones(state)
  return state
}

function readRow(state: SchedulerState, key: string, from: ByteReader): RowMark {
  if (key === COUNTERS_KEY) {
    readCounters(from, state)
    return state.counterMark
  }
  if (key === SETTINGS_KEY) {
    state.settings = readSettings(from)
    return state.settingsMark
  }
  switch (key.slice(0, 2)) {
    case 'st': {
      const task = readTask(from)
      state.tasks.set(task.id, task)
      return task
    }
    case 'sl': {
      const task = readTask(from)
      state.lingering.set(task.id, task)
      return task
    }
    case 'se': {
      const tombstone = readTombstone(from)
      state.tombstones.set(tombstone.id, tombstone)
      return tombstone
    }
    case 'sn': {
      const node = readNode(from)
      state.nodes.set(node.id, node)
      state.peers.set(node.peerId, node.id)
      return node
    }
    case 'so': {
      const session = readSession(from)
      const sessions = state.sessions.get(session.node)
      if (sessions === undefined) state.sessions.set(session.node, [session])
      else sessions.push(session)
      return session
    }
    case 'sk': {
      const kept = readKept(from)
      state.keys.set(kept.key, kept)
      state.keyOfFirst.set(kept.firstId, kept)
      return kept
    }
    case 'sm': {
      const model = readModel(from)
      state.models.set(model.version, model)
      return model
    }
    default:
      throw malformed('the key names no row of the state')
  }
}

function record(state: SchedulerState, id: TaskId): Task | Tombstone {
  const found = state.tasks.get(id) ?? state.tombstones.get(id)
  if (found === undefined) throw new AppError('STATE_CORRUPT', `no record of t-${id}, which others name`)
  return found
}

function linkTasks(state: SchedulerState): void {
  const tasks = [...state.tasks.values()].sort((a, b) => a.id - b.id)
  for (const task of tasks) {
    for (const { id } of task.spec.needs) {
      const need = record(state, id)
      need.pins++
      if ('spreadTo' in need && (need.spreadTo === SPREAD_DONE || task.id <= need.spreadTo)) continue
      task.waitingOn++
      if (need.dependents === NO_DEPENDENTS) need.dependents = [task.id]
      else need.dependents.push(task.id)
    }
  }
}

function linkKeys(state: SchedulerState): void {
  for (const kept of state.keys.values()) {
    state.expiringKeys.push(kept.firstId, kept.expiresAt)
    for (let offset = 0; offset < kept.count; offset++) record(state, taskId(kept.firstId + offset)).pins++
  }
}

function queueTasks(state: SchedulerState): void {
  for (const task of state.tasks.values()) {
    if (task.placement !== undefined) continue
    if (task.status === 'ready') {
      state.ready.add(task.id)
      const { scheduleToStartMs } = task.spec
      if (scheduleToStartMs > 0) state.expiring.push(task.id, task.readyAt + scheduleToStartMs)
    } else if (task.waitingOn === 0) {
      state.delayed.push(task.id, task.notBefore)
    }
  }
}

/** Slots and resources that live attempts hold. */
function holdCapacity(state: SchedulerState): void {
  const held: { readonly task: Task; readonly placement: Placement }[] = []
  for (const task of [...state.tasks.values(), ...state.lingering.values()]) {
    for (const placement of [task.placement, task.copy]) {
      if (placement !== undefined) held.push({ task, placement })
    }
  }
  held.sort((a, b) => a.placement.token - b.placement.token)
  for (const { task, placement } of held) {
    const node = state.nodes.get(placement.node)
    if (node === undefined) throw new AppError('STATE_CORRUPT', `t-${task.id} is placed on no node`)
    node.placements.add(task.id)
    const { resources } = task.spec
    for (const name in resources) node.used[name] = (node.used[name] ?? 0) + (resources[name] ?? 0)
  }
}

function queueTombstones(state: SchedulerState): void {
  const tombstones = [...state.tombstones.values()].sort((a, b) => a.order - b.order)
  for (const tombstone of tombstones) {
    if (tombstone.spreadTo !== SPREAD_DONE) state.spreading.add(tombstone.id)
    else if (tombstone.pins === 0) state.retirable.push(tombstone)
  }
}
