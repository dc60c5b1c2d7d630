import { KiB, MiB, hour, minute, second } from './units.ts'

/**
 * Every published bound, in one table; docs/limits.md is checked against it. Exceeding one is a clear error with a
 * stable code, never a silent truncation.
 */
export const LIMITS = {
  /** Encoded size of one task's input. */
  taskInputBytes: 64 * KiB,
  /** How deep arrays and objects of an input may nest. */
  inputDepth: 100,
  /** Encoded size of one task's result. */
  taskResultBytes: 64 * KiB,
  /** UTF-8 bytes of an attempt's recorded error message. */
  errorMessageBytes: 4 * KiB,
  /** HTTP request body. */
  requestBodyBytes: 8 * MiB,
  /** Tasks in one submission, and the most tasks that one replicated command may touch. */
  batchTasks: 1_000,
  /** Dependencies of one task. */
  taskNeeds: 256,
  /** Dependents of one task. */
  taskDependents: 10_000,
  /** UTF-16 units of a task's name, an executor's name, a handler's name or a label. */
  nameLength: 128,
  /** Labels of a task or node. */
  labels: 64,
  /** Idempotency key length, in characters. */
  idempotencyKeyLength: 255,
  /** Idempotency keys kept at once; beyond it keyed submissions are refused, never evicted early. */
  idempotencyKeys: 1_000_000,
  /** How long an idempotency key is kept after its submission. */
  keyTtlMs: 1 * hour,
  /** Attempts of one task, its first included. */
  taskAttempts: 100,
  /** Longest timeout or delay that a task may ask for. */
  taskDurationMs: 30 * 24 * hour,
  /** Tasks that are not terminal, over the whole cluster. */
  liveTasks: 1_000_000,
  /** Tombstones and history rows kept after a task ended. */
  historyTasks: 1_000_000,
  /** Nodes of one cluster, learners included. */
  nodes: 64,
  /** Bytes of log entries that are proposed but not yet committed; beyond it proposals fail with OVERLOADED. */
  uncommittedBytes: 64 * MiB,
  /** Target and hard bound for one log entry: commands of a turn are split over entries beyond it. */
  entryBytes: 1 * MiB,
  /** Bytes of task output kept per attempt on the node that ran it; older output is dropped first. */
  attemptLogBytes: 4 * MiB,
  /** Tasks on one page of a list. */
  pageTasks: 1_000,
  /** Bytes of output on one page of a task's log. */
  logPageBytes: 1 * MiB,
  /** Longest wait of a read for a task to end. */
  readWaitMs: 30 * second,
  /** How far a node's wall clock may stand from the median of the voters' before its leader hands over. */
  maxClockOffsetMs: 500,
  /** Inputs and results up to this size live in memory and rows; longer ones become blobs in the store. */
  inlineBytes: 1 * KiB,
  /** Encoded size of one task's executor parameters. */
  taskParamsBytes: 64 * KiB,
  /** Longest life that a request may ask for its idempotency key. */
  keyTtlMaxMs: 24 * hour,
  /** Attempts that one node runs at once. */
  nodeSlots: 10_000,
  /** Largest amount of one resource that a task may ask for. */
  resourceAmount: 2 ** 40,
  /** Encoded weights of one model. */
  modelBytes: 128 * KiB,
  /** UTF-8 bytes of a model's evaluation. */
  modelEvaluationBytes: 4 * KiB,
  /** UTF-16 units of the reason for a change of a model. */
  modelReasonLength: 500,
  /** Versions of the model that the cluster keeps. */
  keptModels: 8,
  /** Longest wait between SIGTERM and SIGKILL. */
  killGraceMs: 5 * minute
} as const
