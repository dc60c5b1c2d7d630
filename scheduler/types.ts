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
}

/** Why an attempt was told to stop. */
export type StopReason = 'cancel' | 'timeout' | 'drain' | 'replace'

/** The one live attempt of a task. */
export interface Placement {
  readonly node: NodeId
  readonly incarnation: Incarnation
  readonly token: FencingToken
  /** From 1. */
  readonly attempt: number
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
export interface Task {
  readonly id: TaskId
  readonly spec: TaskSpec
  /** The first task of the submission that it came with: tasks submitted together form a group. */
  readonly group: TaskId
  readonly submittedAt: TimestampMs
  status: LiveStatus
  /** Dependencies that have not succeeded yet. */
  waitingOn: number
  /** Tasks that wait for this one. Derived from specs; not part of the record. */
  dependents: TaskId[]
  /** Not placed before this point of state time: the spec's delay, later the retry's back-off. */
  notBefore: TimestampMs
  /** When it last became ready; 0 before. */
  readyAt: TimestampMs
  /** Attempts begun so far. */
  attempts: number
  placement: Placement | undefined
  /** The error of the last failed attempt. */
  lastError: TaskError | undefined
  /** The node of the last failed attempt, which the next placement avoids when it can. */
  lastFailedOn: NodeId | undefined
}

/** What stays in memory of an ended task until it retires. Its full record is a history row. */
export interface Tombstone {
  readonly id: TaskId
  readonly status: TerminalStatus
  readonly finishedAt: TimestampMs
}

/** An ended task as history keeps it; written once, read from the store, never consulted by `apply`. */
export interface HistoryRow {
  readonly id: TaskId
  readonly group: TaskId
  readonly spec: TaskSpec
  readonly status: TerminalStatus
  readonly submittedAt: TimestampMs
  readonly readyAt: TimestampMs
  readonly startedAt: TimestampMs
  readonly finishedAt: TimestampMs
  readonly attempts: number
  /** Where its last attempt ran; undefined when it never ran. */
  readonly node: NodeId | undefined
  readonly token: FencingToken | undefined
  /** UTF-8 JSON; empty for none. */
  readonly result: Uint8Array
  readonly error: TaskError | undefined
  /** Run time of the last attempt on its node's monotonic clock; 0 when it never ran. */
  readonly runMs: DurationMs
  /** Largest resident size that its node saw; 0 when unknown. */
  readonly peakMemoryBytes: number
}

export type NodeStatus = 'joining' | 'active' | 'lost' | 'leaving' | 'removed'

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
export interface ClusterNode {
  readonly id: NodeId
  readonly peerId: PeerId
  status: NodeStatus
  /** The current incarnation, or the last one when `open` is false; 0 before the first. */
  incarnation: Incarnation
  /** Whether the incarnation may run attempts. */
  open: boolean
  offer: NodeOffer
  readonly joinedAt: TimestampMs
  /** Live placements on this node. Derived; not part of the record. */
  placements: Set<TaskId>
  /** Sum of the resources of its live placements. Derived. */
  used: Record<string, number>
}

/** Replicated settings. */
export interface Settings {
  /** Length of a node lease. ≥ 4 × (p99 election time + renewal interval). */
  readonly leaseMs: DurationMs
  /** Name of the placement policy that leaders use. */
  readonly policy: string
  readonly historyTasks: number
  readonly historyMs: DurationMs
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
