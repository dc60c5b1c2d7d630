/**
 * The replicated task machine's data: what every node holds, equal at equal log indexes.
 *
 * Owns the shapes of tasks, nodes, sessions and settings. The rules that change them live in `apply/`; how they become
 * bytes lives in `records.ts`. Nothing here knows Raft, a clock or a disk.
 *
 * A task moves `pending → ready → placed → running → stopping → succeeded | failed | cancelled | skipped`; terminal
 * statuses absorb. `placed` means "may have started". An attempt ends only by its node's report or by the end of its
 * node's incarnation, so until then its slot and resources stay held.
 */
import type { ErrorCode } from '../base/errors.ts'
import type { FencingToken, Incarnation, NodeId, PeerId, TaskId } from '../base/ids.ts'
import type { DurationMs, TimestampMs } from '../base/units.ts'

export type LiveStatus = 'pending' | 'ready' | 'placed' | 'running' | 'stopping'
export type TerminalStatus = 'succeeded' | 'failed' | 'cancelled' | 'skipped'
export type TaskStatus = LiveStatus | TerminalStatus

/** Amounts by resource name (`cpu` in thousandths of a core, `memory` in bytes, any further name as the user likes). */
export type Resources = Readonly<Record<string, number>>
export type Labels = Readonly<Record<string, string>>

/** One dependency: the task waited for, and the name under which its result reaches the dependent. */
export interface Need {
  readonly id: TaskId
  readonly as: string
}

export interface RetryPolicy {
  /** Attempts in all, the first included; lost attempts count. In [1, LIMITS.taskAttempts]. */
  readonly maxAttempts: number
  /** Upper bound of the first delay; doubles with each attempt. Full jitter is drawn below it by the proposer. */
  readonly baseDelayMs: DurationMs
  readonly maxDelayMs: DurationMs
}

/** What a user asked for, complete: ingress has filled in every default, so all nodes see the same. Never changes. */
export interface TaskSpec {
  /** The task's class: tasks of one name are expected to behave alike. */
  readonly name: string
  /** Who submitted it, for fairness between tenants; `default` when unsaid. */
  readonly tenant: string
  readonly executor: string
  /** The handler to call, for executors that have handlers; empty otherwise. */
  readonly handler: string
  /** The executor's own parameters, as UTF-8 JSON (for `shell`: command, environment, …). Opaque here. */
  readonly params: Uint8Array
  /** The task's input, as UTF-8 JSON; empty for none. Opaque here. */
  readonly input: Uint8Array
  readonly needs: readonly Need[]
  /** Larger runs earlier; integer in [-100, 100]. */
  readonly priority: number
  readonly resources: Resources
  /** Labels that a node must carry to run the task. */
  readonly nodeSelector: Labels
  readonly retry: RetryPolicy
  /** Longest wait from ready to placed, judged by the leader in state time; 0 for none. */
  readonly scheduleToStartMs: DurationMs
  /** Longest run of one attempt, judged by its node's monotonic clock; 0 for none. */
  readonly startToCloseMs: DurationMs
  /** From SIGTERM (or abort) to SIGKILL. */
  readonly killGraceMs: DurationMs
  /** `at-most-once`: never placed again unless its node reported that the attempt did not start. */
  readonly delivery: 'at-least-once' | 'at-most-once'
  /** The user states that two runs do no harm; allows speculation and `onLeaseLoss: continue`. */
  readonly idempotent: boolean
  readonly onLeaseLoss: 'kill' | 'continue'
  readonly isolation: 'process' | 'thread'
  /** Not ready before this point of state time; 0 for at once. */
  readonly notBefore: TimestampMs
  /** When its user wants it to have ended, in state time; 0 for no such wish. Nothing is done to the task at that moment. */
  readonly deadlineAt: TimestampMs
}

/** Bytes that live in the store under `blobKey` instead of in memory. */
interface StoredBlob {
  readonly sizeBytes: number
}

/** Inline bytes when short (≤ LIMITS.inlineBytes), a reference when not. */
export type Blob = Uint8Array | StoredBlob

/** A spec as the machine keeps it: the same, except that a long input is a reference. */
export interface StoredSpec extends Omit<TaskSpec, 'input'> {
  readonly input: Blob
}

/** How an object that is a row of the store is tracked; only `changes.ts` and `records.ts` touch it. */
export interface RowMark {
  /** Bits: see `changes.ts`. */
  rowFlags: number
  /** Hash lanes of the row as last drained, signed 32-bit. */
  hashA: number
  hashB: number
}

/**
 * Why an attempt was told to stop. `cancel` and `replace` end the task as cancelled, `timeout` fails the attempt,
 * `drain` gives the task to another node without counting the attempt, `superseded` follows the success of its sibling.
 */
export type StopReason = 'cancel' | 'timeout' | 'drain' | 'replace' | 'superseded'

/** A live attempt of a task. */
export interface Placement {
  readonly node: NodeId
  readonly incarnation: Incarnation
  readonly token: FencingToken
  /** From 1. */
  readonly attempt: number
  /** Placed beside another one that was live. */
  readonly isCopy: boolean
  readonly placedAt: TimestampMs
  /** When the node says that it started; 0 while unknown (short attempts report it with their completion). */
  startedAt: TimestampMs
  stopReason: StopReason | undefined
}

/** Why an attempt or a task failed. `code` is DTSS's own (`EXIT_CODE`, `TIMEOUT`, `NODE_LOST`, …) or the user's. */
export interface TaskError {
  readonly code: string
  readonly message: string
  /** False for errors that the user declared final. */
  readonly retryable: boolean
}

/** A task that has not ended. Owned and mutated by `apply` alone. */
export interface Task extends RowMark {
  readonly id: TaskId
  readonly spec: StoredSpec
  /** The first task of the submission that it came with: tasks submitted together form a group. */
  readonly group: TaskId
  readonly submittedAt: TimestampMs
  status: LiveStatus
  /** Dependencies whose success has not reached this task yet. Derived. */
  waitingOn: number
  /** Tasks that were submitted with this one as a need, by rising id, ended ones included. Derived. */
  dependents: TaskId[]
  /** Live dependents and idempotency keys that keep this task's record. Derived. */
  pins: number
  /** Not placed before this point of state time: the spec's delay, later the retry's back-off. */
  notBefore: TimestampMs
  /** When it last became ready; 0 before. */
  readyAt: TimestampMs
  /** Attempts begun so far; the number of the last one. */
  attempts: number
  /** Those of them that do not count against `retry.maxAttempts`: copies, drained, or reported as not started. */
  uncounted: number
  /** Those of them that were placed as copies. */
  copies: number
  /** Token of the last placement; 0 before the first. */
  lastToken: FencingToken
  placement: Placement | undefined
  /** A second live attempt, on another node; for idempotent tasks only. The first success of the two counts. */
  copy: Placement | undefined
  /** The error of the last failed attempt; a final one outlasts those that come after it. */
  lastError: TaskError | undefined
  /** The node of the last failed attempt, which the next placement avoids when it can. */
  lastFailedOn: NodeId | undefined
}

/** What stays in memory of an ended task until it retires. Its full record is a history row. */
export interface Tombstone extends RowMark {
  readonly id: TaskId
  readonly status: TerminalStatus
  readonly finishedAt: TimestampMs
  /** Token of the attempt that ended it, else of its last placement; 0 when it never had one. */
  readonly token: FencingToken
  /** Which blobs it has in the store. Bits: 1 input, 2 result. */
  readonly blobs: number
  /** Rank among ended tasks; anew when its last pin falls, so that retirement takes them in this order. */
  order: number
  /** Dependents up to this id know of the end; `SPREAD_DONE` when all do. */
  spreadTo: number
  /** Derived, as in `Task`. Empty once all know. */
  dependents: TaskId[]
  /** Derived, as in `Task`. */
  pins: number
}

/** An ended task as history keeps it; written once, read from the store, never consulted by `apply`. */
export interface HistoryRow {
  readonly id: TaskId
  readonly group: TaskId
  readonly spec: StoredSpec
  readonly status: TerminalStatus
  readonly submittedAt: TimestampMs
  readonly readyAt: TimestampMs
  readonly startedAt: TimestampMs
  readonly finishedAt: TimestampMs
  readonly attempts: number
  /** Those of them that were copies. */
  readonly copies: number
  /** The number of the attempt that decided its end, and is meant below; 0 when none did. */
  readonly attempt: number
  /** Where its last attempt ran; undefined when it never ran. */
  readonly node: NodeId | undefined
  readonly token: FencingToken | undefined
  /** UTF-8 JSON; empty for none. */
  readonly result: Blob
  readonly error: TaskError | undefined
  /** Run time of the last attempt on its node's monotonic clock; 0 when it never ran. */
  readonly runMs: DurationMs
  /** Largest resident size that its node saw; 0 when unknown. */
  readonly peakMemoryBytes: number
}

export type NodeStatus = 'joining' | 'active' | 'lost' | 'leaving'

/** What a node says of itself when it announces an incarnation. */
export interface NodeOffer {
  readonly executors: readonly string[]
  /** Content hash by handler name. */
  readonly handlers: Readonly<Record<string, string>>
  readonly labels: Labels
  readonly zone: string
  /** Attempts that it runs at once. */
  readonly slots: number
  readonly resources: Resources
  /** Where its HTTP API listens. */
  readonly url: string
  /** libp2p multiaddresses. */
  readonly addresses: readonly string[]
  readonly version: string
}

/** A member of the cluster. Owned and mutated by `apply` alone. */
export interface ClusterNode extends RowMark {
  readonly id: NodeId
  readonly peerId: PeerId
  status: NodeStatus
  /** The current incarnation, or the last one when `open` is false; 0 before the first. */
  incarnation: Incarnation
  /** Whether the incarnation may run attempts. */
  open: boolean
  offer: NodeOffer
  readonly joinedAt: TimestampMs
  /** Tasks with a live attempt on this node, by its rising token. Derived; not part of the record. */
  placements: Set<TaskId>
  /** Sum of the resources of its live placements. Derived. */
  used: Record<string, number>
}

/**
 * Who may change which model serves. `auto`: the leader's trainer and guard, and operators; `frozen`: operators alone. The
 * proposers hold to it; `apply` does not ask.
 */
export type ModelMode = 'auto' | 'frozen'

/**
 * Who changes the placement policy. `fixed`: operators alone; `auto`: the leader's guard as well. The proposers hold to
 * it; what the guard changes names the choice of operators that it rests on.
 */
export type PolicyMode = 'fixed' | 'auto'

/** The last change of the placement policy. */
interface PolicyChange {
  readonly at: TimestampMs
  readonly from: string
  readonly to: string
  /** At most LIMITS.modelReasonLength; empty when none was given. */
  readonly reason: string
  /** How often the leader has given up what it went over to, since an operator last chose; 0 after an operator's choice. */
  readonly returns: number
}

/** Replicated settings. */
export interface Settings {
  /** Length of a node lease. ≥ 4 × (p99 election time + renewal interval). */
  readonly leaseMs: DurationMs
  /** Name of the placement policy that leaders use. One that does not know it places by `least-loaded`. */
  readonly policy: string
  readonly historyTasks: number
  readonly historyMs: DurationMs
  readonly modelMode: ModelMode
  readonly policyMode: PolicyMode
  /** How often operators have chosen the policy or its mode; so it names the last choice. Kept by `apply`. */
  readonly policyChoice: number
  /** Undefined while the first policy places. Kept by `apply`. */
  readonly policyChange: PolicyChange | undefined
}

/**
 * `shadow`: published and watched, its predictions are not used. `serving`: every node predicts with it. `retired`: it
 * served, or was a shadow, until a newer one took its place. `rejected`: a shadow found wanting. `rolled-back`: it
 * served and was found wanting.
 */
export type ModelState = 'shadow' | 'serving' | 'retired' | 'rejected' | 'rolled-back'

/** A version of the model that predicts run times. At most one serves, and at most one is a shadow. */
export interface ModelRecord extends RowMark {
  /** From 1, allocated in the log, never used again. */
  readonly version: number
  state: ModelState
  /** Opaque here; at most LIMITS.modelBytes. */
  readonly weights: Uint8Array
  /** Completions that it was trained on. */
  readonly trainedOn: number
  readonly publishedAt: TimestampMs
  /** When it began to serve for the last time; 0 when it never did. */
  servedAt: TimestampMs
  /** When its state changed last. */
  changedAt: TimestampMs
  /** UTF-8 JSON, opaque here; at most LIMITS.modelEvaluationBytes. */
  evaluation: Uint8Array
  /** Of its last change of state. */
  reason: string
}

/** The proposals of one incarnation whose outcomes its node may still ask for. */
export interface Session extends RowMark {
  readonly node: NodeId
  readonly incarnation: Incarnation
  /** Outcomes below this sequence were dropped. */
  lowest: number
  readonly outcomes: Map<number, Outcome>
}

/** A kept idempotency key and the submission that it stands for. */
export interface KeptKey extends RowMark {
  readonly key: string
  readonly fingerprint: string
  readonly firstId: TaskId
  readonly count: number
  readonly expiresAt: TimestampMs
}

/** What became of a proposal; kept per (node, incarnation, sequence) until its origin needs it no more. */
export type Outcome =
  | { readonly ok: true; readonly value: OutcomeValue }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string }

export type OutcomeValue =
  | { readonly type: 'none' }
  /** `replayed`: an idempotency key named an earlier submission. */
  | {
      readonly type: 'submitted'
      readonly firstId: TaskId
      readonly count: number
      readonly replayed: boolean
    }
  | { readonly type: 'cancelled'; readonly status: TaskStatus }
  | { readonly type: 'node'; readonly node: NodeId }
  | { readonly type: 'model'; readonly version: number }
