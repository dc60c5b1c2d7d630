/**
 * The replicated state in memory: everything that has not ended, tombstones of what has, and indexes over both.
 *
 * Owns the shape and the empty state. `apply/` changes it, `records.ts` turns it into rows and back.
 *
 * 1. What is marked *derived* follows from the rest: it is rebuilt by `loadState`, has no row and no part in the checksum.
 * 2. Every choice that `apply` makes depends on replicated values only, never on the order in which a derived container
 *    happens to hold them.
 */
import type { FencingToken, NodeId, PeerId, TaskId } from '../base/ids.ts'
import { fencingToken, nodeId, taskId } from '../base/ids.ts'
import { LIMITS } from '../base/limits.ts'
import type { TimestampMs } from '../base/units.ts'
import { durationMs, hour, timestampMs } from '../base/units.ts'
import type { ChangeLog } from './changes.ts'
import { createChangeLog } from './changes.ts'
import { DueHeap } from './due-heap.ts'
import { RetireQueue } from './retire-queue.ts'
import type {
  ClusterNode,
  KeptKey,
  ModelRecord,
  RowMark,
  Session,
  Settings,
  Task,
  Tombstone
} from './types.ts'

export interface SchedulerState {
  /** State time: the highest stamp of all entries applied. */
  time: TimestampMs
  /** The lowest id that was never assigned. */
  nextTaskId: TaskId
  nextNodeId: NodeId
  lastToken: FencingToken
  highestRetired: TaskId
  /** Order that the next tombstone gets. */
  nextOrder: number
  /** The lowest model version that was never assigned. */
  nextModelVersion: number
  settings: Settings
  /** Tasks that have not ended, by rising id. */
  readonly tasks: Map<TaskId, Task>
  /**
   * Ended tasks one of whose two attempts still stops, with that one as their `placement`: it holds its slot until its node
   * reports. What else these records say of the task is as it was.
   */
  readonly lingering: Map<TaskId, Task>
  readonly tombstones: Map<TaskId, Tombstone>
  readonly nodes: Map<NodeId, ClusterNode>
  /** At most two a node: its highest incarnations seen, the lower first. */
  readonly sessions: Map<NodeId, Session[]>
  readonly keys: Map<string, KeptKey>
  /** At most LIMITS.keptModels. */
  readonly models: Map<number, ModelRecord>

  /** Derived: tasks in status `ready`. */
  readonly ready: Set<TaskId>
  /** Derived: pending tasks that wait for nothing but their `notBefore`. */
  readonly delayed: DueHeap
  /** Derived: ready tasks by the end of their `scheduleToStart`. */
  readonly expiring: DueHeap
  /** Derived: idempotency keys by expiry; the id is the first task's. */
  readonly expiringKeys: DueHeap
  /** Derived: the key whose submission begins with a task. */
  readonly keyOfFirst: Map<TaskId, KeptKey>
  /** Derived: numbers of known peers. */
  readonly peers: Map<PeerId, NodeId>
  /** Derived: tombstones that may retire. */
  readonly retirable: RetireQueue
  /** Derived: ended tasks some of whose dependents do not know yet, in the order of their ends. */
  readonly spreading: Set<TaskId>

  /** Rows of the counters and of the settings. */
  readonly counterMark: RowMark
  readonly settingsMark: RowMark
  /** What changed since the last drain. */
  readonly changes: ChangeLog
}

/** `Tombstone.spreadTo` once all dependents know. */
export const SPREAD_DONE = -1

/** The list that all tasks without dependents share; whoever adds one makes a list of its own. */
export const NO_DEPENDENTS: TaskId[] = []

/** Settings of a new cluster. */
const DEFAULT_SETTINGS: Settings = {
  leaseMs: durationMs(10_000),
  policy: 'least-loaded',
  historyTasks: LIMITS.historyTasks,
  historyMs: durationMs(7 * 24 * hour),
  modelMode: 'auto',
  policyMode: 'fixed',
  policyChoice: 0,
  policyChange: undefined
}

/** The state before the first entry. */
export function createState(): SchedulerState {
  const tasks = new Map<TaskId, Task>()
  const keyOfFirst = new Map<TaskId, KeptKey>()
  const ready = new Set<TaskId>()
  return {
    time: timestampMs(0),
    nextTaskId: taskId(1),
    nextNodeId: nodeId(1),
    lastToken: fencingToken(0),
    highestRetired: taskId(0),
    nextOrder: 1,
    nextModelVersion: 1,
    settings: DEFAULT_SETTINGS,
    tasks,
    lingering: new Map(),
    tombstones: new Map(),
    nodes: new Map(),
    sessions: new Map(),
    keys: new Map(),
    models: new Map(),
    ready,
    delayed: new DueHeap((id, due) => {
      const task = tasks.get(taskId(id))
      return task?.status === 'pending' && task.waitingOn === 0 && task.notBefore === due
    }),
    expiring: new DueHeap((id, due) => {
      const task = tasks.get(taskId(id))
      return task?.status === 'ready' && task.readyAt + task.spec.scheduleToStartMs === due
    }),
    expiringKeys: new DueHeap((id, due) => keyOfFirst.get(taskId(id))?.expiresAt === due),
    keyOfFirst,
    peers: new Map(),
    retirable: new RetireQueue(),
    spreading: new Set(),
    counterMark: { rowFlags: 0, hashA: 0, hashB: 0 },
    settingsMark: { rowFlags: 0, hashA: 0, hashB: 0 },
    changes: createChangeLog()
  }
}

/** The one model in a state of which there is at most one. */
export function modelIn(state: SchedulerState, wanted: 'serving' | 'shadow'): ModelRecord | undefined {
  for (const model of state.models.values()) if (model.state === wanted) return model
  return undefined
}
