/**
 * Encodings of the rows' values. Each begins with the version of all row encodings. Derived fields are left out.
 */
import { fencingToken, incarnation, nodeId, peerId, taskId } from '../base/ids.ts'
import { durationMs, timestampMs } from '../base/units.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { NO_DEPENDENTS, SPREAD_DONE } from './state.ts'
import type { SchedulerState } from './state.ts'
import { TERMINAL, readStoredSpec, writeStoredSpec } from './stored-codec.ts'
import type {
  ClusterNode,
  KeptKey,
  LiveStatus,
  NodeStatus,
  Outcome,
  OutcomeValue,
  Placement,
  Session,
  Settings,
  Task,
  TaskStatus,
  Tombstone
} from './types.ts'
import {
  MODEL_MODES,
  POLICY_MODES,
  STOP_REASONS,
  readError,
  readName,
  readOffer,
  readOptional,
  writeError,
  writeName,
  writeOffer,
  writeOptional
} from './value-codec.ts'
import type { ErrorCode } from '../base/errors.ts'
import { ERRORS } from '../base/errors.ts'
import { malformed } from './bytes.ts'

const LIVE = ['pending', 'ready', 'placed', 'running', 'stopping'] as const satisfies readonly LiveStatus[]
const ANY_STATUS: readonly TaskStatus[] = [...LIVE, ...TERMINAL]
const NODE = ['joining', 'active', 'lost', 'leaving'] as const satisfies readonly NodeStatus[]
const OUTCOME_VALUES = ['none', 'submitted', 'cancelled', 'node', 'model'] as const

/** Marks of an object that was just read from its row, before `loadState` fills them in. */
const unmarked = { rowFlags: 0, hashA: 0, hashB: 0 }

function writePlacement(out: ByteWriter, placement: Placement): void {
  out.uint(placement.node)
  out.uint(placement.incarnation)
  out.uint(placement.token)
  out.uint(placement.attempt)
  out.uint(placement.placedAt)
  out.uint(placement.startedAt)
  const reason = placement.stopReason === undefined ? 0 : 1 + STOP_REASONS.indexOf(placement.stopReason)
  out.uint(2 * reason + (placement.isCopy ? 1 : 0))
}

function readPlacement(from: ByteReader): Placement {
  const node = nodeId(from.uint())
  const incarnationOf = incarnation(from.uint())
  const token = fencingToken(from.uint())
  const attempt = from.uint()
  const placedAt = timestampMs(from.uint())
  const startedAt = timestampMs(from.uint())
  const marks = from.choice(2 * (STOP_REASONS.length + 1))
  return {
    node,
    incarnation: incarnationOf,
    token,
    attempt,
    isCopy: (marks & 1) === 1,
    placedAt,
    startedAt,
    stopReason: STOP_REASONS[(marks >> 1) - 1]
  }
}

const HAS_PLACEMENT = 1
const HAS_COPY = 2
const HAS_ERROR = 4
const ALL_PARTS = 7

export function writeTask(out: ByteWriter, task: Task): void {
  out.uint(task.id)
  out.uint(task.group)
  out.uint(task.submittedAt)
  writeName(out, LIVE, task.status)
  out.uint(task.notBefore)
  out.uint(task.readyAt)
  out.uint(task.attempts)
  out.uint(task.uncounted)
  out.uint(task.copies)
  out.uint(task.lastToken)
  out.uint(task.lastFailedOn ?? 0)
  const { placement, copy, lastError } = task
  out.uint(
    (placement === undefined ? 0 : HAS_PLACEMENT) |
      (copy === undefined ? 0 : HAS_COPY) |
      (lastError === undefined ? 0 : HAS_ERROR)
  )
  if (placement !== undefined) writePlacement(out, placement)
  if (copy !== undefined) writePlacement(out, copy)
  if (lastError !== undefined) writeError(out, lastError)
  writeStoredSpec(out, task.id, task.spec)
}

export function readTask(from: ByteReader): Task {
  const id = taskId(from.uint())
  const group = taskId(from.uint())
  const submittedAt = timestampMs(from.uint())
  const status = readName(from, LIVE)
  const notBefore = timestampMs(from.uint())
  const readyAt = timestampMs(from.uint())
  const attempts = from.uint()
  const uncounted = from.uint()
  const copies = from.uint()
  const lastToken = fencingToken(from.uint())
  const lastFailedOn = from.uint()
  const has = from.choice(ALL_PARTS + 1)
  const placement = (has & HAS_PLACEMENT) === 0 ? undefined : readPlacement(from)
  const copy = (has & HAS_COPY) === 0 ? undefined : readPlacement(from)
  const lastError = (has & HAS_ERROR) === 0 ? undefined : readError(from)
  return {
    ...unmarked,
    id,
    spec: readStoredSpec(from, id),
    group,
    submittedAt,
    status,
    waitingOn: 0,
    dependents: NO_DEPENDENTS,
    pins: 0,
    notBefore,
    readyAt,
    attempts,
    uncounted,
    copies,
    lastToken,
    placement,
    copy,
    lastError,
    lastFailedOn: lastFailedOn === 0 ? undefined : nodeId(lastFailedOn)
  }
}

export function writeTombstone(out: ByteWriter, tombstone: Tombstone): void {
  out.uint(tombstone.id)
  writeName(out, TERMINAL, tombstone.status)
  out.uint(tombstone.finishedAt)
  out.uint(tombstone.token)
  out.uint(tombstone.blobs)
  out.uint(tombstone.order)
  out.int(tombstone.spreadTo)
}

export function readTombstone(from: ByteReader): Tombstone {
  const tombstone = {
    ...unmarked,
    id: taskId(from.uint()),
    status: readName(from, TERMINAL),
    finishedAt: timestampMs(from.uint()),
    token: fencingToken(from.uint()),
    blobs: from.choice(4),
    order: from.uint(),
    spreadTo: from.int(),
    dependents: NO_DEPENDENTS,
    pins: 0
  }
  if (tombstone.spreadTo < SPREAD_DONE) throw malformed(`spreadTo: got ${tombstone.spreadTo}`)
  return tombstone
}

export function writeNode(out: ByteWriter, node: ClusterNode): void {
  out.uint(node.id)
  out.text(node.peerId)
  writeName(out, NODE, node.status)
  out.uint(node.incarnation)
  out.bool(node.open)
  out.uint(node.joinedAt)
  writeOffer(out, node.offer)
}

export function readNode(from: ByteReader): ClusterNode {
  return {
    ...unmarked,
    id: nodeId(from.uint()),
    peerId: peerId(from.text()),
    status: readName(from, NODE),
    incarnation: incarnation(from.uint()),
    open: from.bool(),
    joinedAt: timestampMs(from.uint()),
    offer: readOffer(from),
    placements: new Set(),
    used: {}
  }
}

/** Codes are written as text: the error table grows and is sorted by topic. */
function writeOutcome(out: ByteWriter, outcome: Outcome): void {
  out.bool(outcome.ok)
  if (!outcome.ok) {
    out.text(outcome.code)
    out.text(outcome.message)
    return
  }
  const { value } = outcome
  writeName(out, OUTCOME_VALUES, value.type)
  if (value.type === 'submitted') {
    out.uint(value.firstId)
    out.uint(value.count)
    out.bool(value.replayed)
  } else if (value.type === 'cancelled') {
    writeName(out, ANY_STATUS, value.status)
  } else if (value.type === 'node') {
    out.uint(value.node)
  } else if (value.type === 'model') {
    out.uint(value.version)
  }
}

function readOutcome(from: ByteReader): Outcome {
  if (from.bool()) return { ok: true, value: readOutcomeValue(from) }
  const code = from.text()
  if (!isErrorCode(code)) throw malformed(`outcome: got unknown code "${code}"`)
  return { ok: false, code, message: from.text() }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code)
}

function readOutcomeValue(from: ByteReader): OutcomeValue {
  const type = readName(from, OUTCOME_VALUES)
  switch (type) {
    case 'none':
      return { type }
    case 'submitted':
      return { type, firstId: taskId(from.uint()), count: from.uint(), replayed: from.bool() }
    case 'cancelled':
      return { type, status: readName(from, ANY_STATUS) }
    case 'node':
      return { type, node: nodeId(from.uint()) }
    case 'model':
      return { type, version: from.uint() }
  }
}

/** Outcomes by rising sequence: a Map's own order tells in which order they arrived, which no other node need share. */
export function writeSession(out: ByteWriter, session: Session): void {
  out.uint(session.node)
  out.uint(session.incarnation)
  out.uint(session.lowest)
  out.uint(session.outcomes.size)
  const sequences = [...session.outcomes.keys()].sort((a, b) => a - b)
  for (const sequence of sequences) {
    const outcome = session.outcomes.get(sequence)
    if (outcome === undefined) continue
    out.uint(sequence)
    writeOutcome(out, outcome)
  }
}

export function readSession(from: ByteReader): Session {
  const node = nodeId(from.uint())
  const incarnationOf = incarnation(from.uint())
  const lowest = from.uint()
  const outcomes = new Map<number, Outcome>()
  for (let left = from.count(); left > 0; left--) outcomes.set(from.uint(), readOutcome(from))
  return { ...unmarked, node, incarnation: incarnationOf, lowest, outcomes }
}

export function writeKept(out: ByteWriter, kept: KeptKey): void {
  out.text(kept.key)
  out.text(kept.fingerprint)
  out.uint(kept.firstId)
  out.uint(kept.count)
  out.uint(kept.expiresAt)
}

export function readKept(from: ByteReader): KeptKey {
  return {
    ...unmarked,
    key: from.text(),
    fingerprint: from.text(),
    firstId: taskId(from.uint()),
    count: from.uint(),
    expiresAt: timestampMs(from.uint())
  }
}

export function writeSettings(out: ByteWriter, settings: Settings): void {
  out.uint(settings.leaseMs)
  out.text(settings.policy)
  out.uint(settings.historyTasks)
  out.uint(settings.historyMs)
  writeName(out, MODEL_MODES, settings.modelMode)
  writeName(out, POLICY_MODES, settings.policyMode)
  out.uint(settings.policyChoice)
  writeOptional(out, settings.policyChange, (to, change) => {
    to.uint(change.at)
    to.text(change.from)
    to.text(change.to)
    to.text(change.reason)
    to.uint(change.returns)
  })
}

export function readSettings(from: ByteReader): Settings {
  return {
    leaseMs: durationMs(from.uint()),
    policy: from.text(),
    historyTasks: from.uint(),
    historyMs: durationMs(from.uint()),
    modelMode: readName(from, MODEL_MODES),
    policyMode: readName(from, POLICY_MODES),
    policyChoice: from.uint(),
    policyChange: readOptional(from, (reader) => ({
      at: timestampMs(reader.uint()),
      from: reader.text(),
      to: reader.text(),
      reason: reader.text(),
      returns: reader.uint()
    }))
  }
}

export function writeCounters(out: ByteWriter, state: SchedulerState): void {
  out.uint(state.time)
  out.uint(state.nextTaskId)
  out.uint(state.nextNodeId)
  out.uint(state.lastToken)
  out.uint(state.highestRetired)
  out.uint(state.nextOrder)
  out.uint(state.nextModelVersion)
}

export function readCounters(from: ByteReader, state: SchedulerState): void {
  state.time = timestampMs(from.uint())
  state.nextTaskId = taskId(from.uint())
  state.nextNodeId = nodeId(from.uint())
  state.lastToken = fencingToken(from.uint())
  state.highestRetired = taskId(from.uint())
  state.nextOrder = from.uint()
  state.nextModelVersion = from.uint()
}
