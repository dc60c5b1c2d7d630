import { KiB, MiB, hour, minute, second } from './units.ts'

/**
 * Every published bound, in one table; docs/limits.md is checked against it, and test/api/limits.test.ts holds requests
 * against it. A request beyond one is refused with LIMIT_EXCEEDED, or with the code that its comment names; what is cut off
 * or dropped instead, its comment says.
 */
export const LIMITS = {
  /** Encoded size of one task's input. */
  taskInputBytes: 64 * KiB,
  /** How deep arrays and objects of an input may nest. */
  inputDepth: 100,
  /** Encoded size of one task's result; the attempt of a larger one fails, with `RESULT_TOO_LARGE`. */
  taskResultBytes: 64 * KiB,
  /** UTF-8 bytes of an attempt's recorded error message; what is longer is cut off, to a third of this many characters. */
  errorMessageBytes: 4 * KiB,
  /** HTTP request body; a larger one is refused with `BODY_TOO_LARGE`. */
  requestBodyBytes: 8 * MiB,
  /** Tasks in one submission, and the most tasks that one replicated command may touch. */
  batchTasks: 1_000,
  /** Dependencies of one task; more are refused with `INVALID_REQUEST`. */
  taskNeeds: 256,
  /** Dependents of one task. */
  taskDependents: 10_000,
  /** UTF-16 units of a task's name, an executor's name, a handler's name or a label; longer ones are refused with `INVALID_REQUEST`. */
  nameLength: 128,
  /** Labels of a task or node, and resources; more are refused with `INVALID_REQUEST`. */
  labels: 64,
  /** Idempotency key length, in characters; a longer one is refused with `INVALID_REQUEST`. */
  idempotencyKeyLength: 255,
  /** Idempotency keys kept at once; beyond it keyed submissions are refused with `IDEMPOTENCY_KEYS_FULL`, and none is forgotten early. */
  idempotencyKeys: 1_000_000,
  /** How long an idempotency key is kept after its submission. */
  keyTtlMs: 1 * hour,
  /** Attempts of one task, its first included; more are refused with `INVALID_REQUEST`. */
  taskAttempts: 100,
  /** Longest timeout or delay that a task may ask for, and how far ahead `runAt` and a deadline may lie; a longer one that is written as a number of milliseconds is refused with `INVALID_REQUEST`. */
  taskDurationMs: 30 * 24 * hour,
  /** Tasks that are not terminal, over the whole cluster; beyond it submissions are refused with `OVERLOADED`. */
  liveTasks: 1_000_000,
  /** Tombstones and history rows kept after a task ended; the oldest are dropped. */
  historyTasks: 1_000_000,
  /** Nodes of one cluster, learners included. */
  nodes: 64,
  /** Bytes of log entries that are proposed but not yet committed; beyond it proposals fail with `OVERLOADED`. */
  uncommittedBytes: 64 * MiB,
  /** Target and hard bound for one log entry: commands of a turn are split over entries beyond it. */
  entryBytes: 1 * MiB,
  /** Bytes of task output kept per attempt on the node that ran it; older output is dropped first. */
  attemptLogBytes: 4 * MiB,
  /** Tasks on one page of a list; a larger `limit` is refused with `INVALID_REQUEST`. */
  pageTasks: 1_000,
  /** Bytes of output on one page of a task's log; the rest is on the next one. */
  logPageBytes: 1 * MiB,
  /** Longest wait of a read for a task to end. */
  readWaitMs: 30 * second,
  /** How far a node's wall clock may stand from the median of the voters' before its leader hands over. */
  maxClockOffsetMs: 500,
  /** Inputs and results up to this size live in memory and rows; longer ones become blobs in the store. */
  inlineBytes: 1 * KiB,
  /** Encoded size of one task's executor parameters; a `command` or a variable of more than 32,768 characters is refused with `INVALID_REQUEST`. */
  taskParamsBytes: 64 * KiB,
  /** Longest life that a request may ask for its idempotency key. */
  keyTtlMaxMs: 24 * hour,
  /** Attempts that one node runs at once; `dtss start` refuses more with `USAGE`. */
  nodeSlots: 10_000,
  /** Largest amount of one resource that a task may ask for; a larger one is refused with `INVALID_REQUEST`. */
  resourceAmount: 2 ** 40,
  /** Encoded weights of one model. */
  modelBytes: 128 * KiB,
  /** UTF-8 bytes of a model's evaluation. */
  modelEvaluationBytes: 4 * KiB,
  /** UTF-16 units of the reason for a change of a model, or of the policy; a node cuts off what is longer. */
  modelReasonLength: 500,
  /** Versions of the model that the cluster keeps; of more, the one goes that left its last state first. */
  keptModels: 8,
  /** Longest wait between SIGTERM and SIGKILL; a number of milliseconds beyond `taskDurationMs` is refused with `INVALID_REQUEST`. */
  killGraceMs: 5 * minute
} as const
