/**
 * What the HTTP server needs from a node. `node/` implements it over the runtime; tests over memory.
 *
 * 1. Failures are thrown (or rejected) as `AppError`; anything else is answered as INTERNAL and logged.
 * 2. Reads answer from this node's applied state and do not wait: the server has settled freshness before it calls
 *    them, by `readIndex` or `waitApplied`.
 * 3. Methods that may answer at once return a value or a promise; the server awaits only promises on its hot path.
 * 4. What the optimizer says (`OptimizerPort`) is advice from this node's memory: it never waits for other nodes, but its
 *    changes (`setPolicy`, `promote`, …) resolve when this node has applied them.
 */
import type { IdempotencyKey } from '../scheduler/commands.ts'
import type { TaskDraft } from '../scheduler/dag.ts'
import type { HistoryRow, Task, TaskStatus } from '../scheduler/types.ts'
import type { NodeId, TaskId } from '../base/ids.ts'
import type { TimestampMs } from '../base/units.ts'
import type { ClusterInfo, Health, NodeInfo } from '../base/wire/cluster.ts'
import type { Alarm, Contribution, Eta, Predicted, Suggestion, Why } from '../base/wire/forecast.ts'
import type { LogPosition } from '../base/wire/logs.ts'
import type {
  ModelCalibration,
  ModelMode,
  ModelStatus,
  ModelView,
  PolicyComparison,
  PolicyView
} from '../base/wire/optimizer.ts'
import type { Explanation } from '../scheduler/explain.ts'

export interface SubmitRequest {
  readonly tasks: readonly TaskDraft[]
  readonly idempotency?: IdempotencyKey
}

export interface SubmitReceipt {
  /** One id per task, in the order of the request. Consecutive numbers, but given in dependency order. */
  readonly ids: readonly TaskId[]
  /** An idempotency key named an earlier submission, whose ids these are. */
  readonly replayed: boolean
}

/** What is known of a task. `retired`: it ended long ago and nothing of it is kept. */
export type TaskRecord =
  | { readonly kind: 'live'; readonly task: Task }
  | { readonly kind: 'ended'; readonly row: HistoryRow }
  | { readonly kind: 'retired' }
  | { readonly kind: 'unknown' }

export type KnownTaskRecord = Extract<TaskRecord, { kind: 'live' | 'ended' }>

/** The bytes of a task's input and result (UTF-8 JSON; empty for none), wherever they live. */
export interface TaskContents {
  readonly input: Uint8Array
  readonly result: Uint8Array
}

export interface TaskQuery {
  /** Any of these; empty for all. */
  readonly statuses: readonly TaskStatus[]
  readonly name: string | undefined
  /** Only tasks with a lower id: the position of a cursor. */
  readonly before: TaskId | undefined
  readonly limit: number
}

/** Newest (highest id) first. A port may stop early on a rare filter: then `records` is short and `next` set. */
export interface TaskRecordPage {
  readonly records: readonly KnownTaskRecord[]
  /** `before` of the next page; undefined when there is nothing further. */
  readonly next: TaskId | undefined
}

/** A stretch of one attempt's output. */
export interface LogChunk {
  readonly attempt: number
  /** Where the chunk starts in the attempt's output. Larger than asked when older output was dropped. */
  readonly offset: number
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
  /** When it was read, by the wall clock of the node that ran the attempt. */
  readonly at: TimestampMs | undefined
}

export interface LogQuery {
  /** Only output from here on. */
  readonly after: LogPosition
  /** Keep going until the task has ended and all its output was given; otherwise what is there now. */
  readonly follow: boolean
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
}

/** What is expected of a live task. All of it may be missing: nothing was learned, or the forecast is being made. */
export interface TaskOutlook {
  readonly predicted?: Predicted
  readonly eta?: Eta
  readonly alarms: readonly Alarm[]
}

/** What is expected of tasks that were submitted together. */
export interface GroupOutlook {
  readonly eta?: Eta
  readonly alarms: readonly Alarm[]
}

/** How a prediction came about. */
export interface PredictionDetail {
  readonly quantiles: NonNullable<Why['quantiles']>
  readonly experts: NonNullable<Why['experts']>
  /** The median over tasks of all kinds, in milliseconds, and what leads from there to the task's own, in order. */
  readonly typicalMs: number
  readonly contributions: readonly Contribution[]
  /** The median on each node that may run it. */
  readonly nodes: readonly { readonly node: NodeId; readonly medianMs: number }[]
}

export interface ComparisonRequest {
  /** Names that `policy().available` has; at least one. */
  readonly policies: readonly string[]
  readonly tasks: number
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
}

/** What learns, predicts and chooses on this node. No forecast was made more than 15 seconds ago. */
export interface OptimizerPort {
  policy(): PolicyView
  /** `name` is one of those available. Resolves when this node has applied the change. */
  setPolicy(name: string): Promise<void>
  /** Replays recent history, off the main thread or in slices. Errors: INVALID_REQUEST (too little history), OVERLOADED (one is under way). */
  compare(request: ComparisonRequest): Promise<PolicyComparison>

  /** Known versions, the newest first. */
  models(): readonly ModelView[]
  modelStatus(): ModelStatus
  calibration(): ModelCalibration
  /** Errors: MODEL_NOT_FOUND, MODEL_STATE_INVALID. */
  promote(version: number, reason: string): Promise<void>
  /**
   * Has the model before the serving one serve again, or none. `version`: only if that one serves, and nothing more if it is rolled
   * back already; undefined: whichever serves. Errors: MODEL_NOT_FOUND, MODEL_STATE_INVALID.
   */
  rollBack(version: number | undefined, reason: string): Promise<void>
  setModelMode(mode: ModelMode): Promise<void>

  outlook(task: Task): Promise<TaskOutlook>
  /** When each of these live tasks starts and finishes; undefined for one of which that is not known soon. */
  etas(tasks: readonly Task[]): Promise<readonly (Eta | undefined)[]>
  /**
   * The same of a submission that was committed just now: of its only task, or of the last of several. Waits for a tenth of
   * a second at most; undefined when it is not known by then, or nothing has been learned yet.
   */
  submissionEta(first: TaskId, count: number): Promise<Eta | undefined>
  groupOutlook(group: TaskId): Promise<GroupOutlook>
  /** Predicted median of one attempt in milliseconds, by anything that is known of its class. */
  expectedMs(task: Task): number
  explain(task: Task): PredictionDetail
  /** All alarms, the most pressing first. */
  alarms(): Promise<readonly Alarm[]>
  /** Whether history is still being read: predictions and suggestions are by a part of it. */
  readonly catchingUp: boolean
  /** By name and tenant, most samples first; only those of `name` when it is given. */
  suggestions(name: string | undefined): readonly Suggestion[]
}

export interface NodePort {
  readonly nodeId: NodeId
  /** The wall clock, for `delayMs`. */
  now(): TimestampMs
  appliedIndex(): number
  leader(): NodeId | undefined

  /**
   * Validates (names, needs, cycles, limits), assigns ids and resolves when this node has applied the submission.
   * Errors: UNKNOWN_HANDLER, UNKNOWN_NEED, CYCLIC_NEEDS, DUPLICATE_NAME, LIMIT_EXCEEDED, IDEMPOTENCY_*, OVERLOADED,
   * NO_LEADER, TIMEOUT, SHUTTING_DOWN.
   */
  submit(request: SubmitRequest): Promise<SubmitReceipt>
  /** Resolves when this node has applied it. Errors: TASK_NOT_FOUND, RETIRED, ALREADY_TERMINAL. */
  cancel(id: TaskId): Promise<TaskStatus>

  /** Resolves when this node has applied all that was committed when it was called (linearizable read). */
  readIndex(): Promise<void>
  /** Resolves to whether this node has applied `index` before `timeoutMs` have passed. */
  waitApplied(index: number, timeoutMs: number): Promise<boolean>

  task(id: TaskId): TaskRecord | Promise<TaskRecord>
  /** What the record may only refer to. Read at once: a task may retire between the two calls, then both are empty. */
  contents(record: KnownTaskRecord): TaskContents | Promise<TaskContents>
  /** The record once the task has ended, or as it is when `timeoutMs` have passed or the signal was aborted. */
  waitTask(id: TaskId, timeoutMs: number, signal: AbortSignal): Promise<TaskRecord>
  tasks(query: TaskQuery): Promise<TaskRecordPage>
  /** The output of a known task, in order, fetched from the nodes that ran it. Ends early when the signal aborts. */
  logs(id: TaskId, query: LogQuery): AsyncIterable<LogChunk>

  /** Why a live task is where it is; undefined for one that is not live. */
  explain(id: TaskId): Explanation | undefined
  readonly optimizer: OptimizerPort

  cluster(): ClusterInfo | Promise<ClusterInfo>
  nodes(): readonly NodeInfo[] | Promise<readonly NodeInfo[]>

  /**
   * Has a node leave: it gets no further work, and is taken out of the cluster when what runs there is over. Resolves when
   * this is decided. Errors: NODE_NOT_FOUND, QUORUM_AT_RISK.
   */
  leave(id: NodeId): Promise<void>

  /** The process works at all. */
  live(): Health
  /** The node may be sent requests: it has caught up, knows a leader and is not stopping. */
  ready(): Health | Promise<Health>
  /** Prometheus text. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
}
