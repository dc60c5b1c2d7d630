/**
 * What the replicated log holds: an entry is a stamp and the commands of one leader turn, applied in order.
 *
 * Whatever two nodes could judge differently (clock, chance, expressions, a model) was settled by the proposer and
 * stands in the command. Adding a command or a field is a format change: see `codec.ts`.
 */
import type { FencingToken, Incarnation, NodeId, PeerId, TaskId } from '../base/ids.ts'
import type { DurationMs, TimestampMs } from '../base/units.ts'
import type { ModelState, NodeOffer, Settings, StopReason, TaskError, TaskSpec } from './types.ts'

/** Who proposed a command, so that a second delivery finds the first one's outcome. */
export interface Origin {
  readonly node: NodeId
  readonly incarnation: Incarnation
  /** Rises by one per proposal of this incarnation, from 1. */
  readonly sequence: number
  /** The lowest sequence whose outcome the origin still waits for; outcomes below it are dropped. */
  readonly lowestOutstanding: number
}

export interface IdempotencyKey {
  readonly key: string
  /** Hash of the request's body; the same key with another body is refused. */
  readonly fingerprint: string
  readonly ttlMs: DurationMs
}

/**
 * Submits tasks with consecutive ids from `firstId`, which must lie above every id assigned so far. A need names a
 * lower id than its task's own, so a cycle cannot be written down; `dag.ts` brings a submission into that order.
 */
export interface SubmitCommand {
  readonly type: 'submit'
  readonly origin: Origin
  readonly firstId: TaskId
  readonly tasks: readonly TaskSpec[]
  readonly idempotency?: IdempotencyKey
}

export interface CancelCommand {
  readonly type: 'cancel'
  readonly origin: Origin
  readonly taskId: TaskId
}

/** Gives a ready task to a node's incarnation; the token is assigned by `apply`. */
export interface PlaceCommand {
  readonly type: 'place'
  readonly taskId: TaskId
  readonly node: NodeId
  readonly incarnation: Incarnation
}

/** Gives a task whose attempt is live a second one, on another node. Refused unless the attempt is the one meant. */
export interface PlaceCopyCommand {
  readonly type: 'place-copy'
  readonly taskId: TaskId
  readonly node: NodeId
  readonly incarnation: Incarnation
  /** Token of the attempt that is copied. */
  readonly of: FencingToken
}

/** Records that an attempt has been running for longer than the lazy-start threshold. */
export interface StartCommand {
  readonly type: 'start'
  readonly taskId: TaskId
  readonly token: FencingToken
  readonly startedAt: TimestampMs
}

/** A node's report that an attempt is over and its process tree gone. */
export interface AttemptReport {
  readonly taskId: TaskId
  readonly token: FencingToken
  /** `stopped`: ended because it was told to. `not-started`: nothing of it ran. */
  readonly outcome: 'succeeded' | 'failed' | 'stopped' | 'not-started'
  /** UTF-8 JSON; empty unless it succeeded. */
  readonly result: Uint8Array
  readonly error: TaskError | undefined
  readonly startedAt: TimestampMs
  readonly finishedAt: TimestampMs
  readonly runMs: DurationMs
  readonly peakMemoryBytes: number
}

export interface CompleteCommand {
  readonly type: 'complete'
  readonly report: AttemptReport
  /** Delay before the next attempt, should there be one: drawn by the proposer with full jitter. */
  readonly retryDelayMs: DurationMs
}

/** Superseded attempts are told so by the success of their sibling, not by command. */
export type AskedStop = Exclude<StopReason, 'superseded'>

/** Tells an attempt to stop; it stays live until its node reports. */
export interface StopCommand {
  readonly type: 'stop'
  readonly taskId: TaskId
  readonly token: FencingToken
  readonly reason: AskedStop
}

/**
 * Makes up to LIMITS.batchTasks tasks ready whose `notBefore` has come, and carries on telling dependents of ended
 * tasks where an earlier command reached its bound. Re-driven while either is due.
 */
interface WakeCommand {
  readonly type: 'wake'
}

/** Fails a ready task that has waited longer than its `scheduleToStart`. */
export interface ExpireCommand {
  readonly type: 'expire'
  readonly taskId: TaskId
}

/** Allocates a number for a joining node; the same peer gets the same number again unless it was removed. */
export interface RegisterNodeCommand {
  readonly type: 'register-node'
  readonly peerId: PeerId
  readonly addresses: readonly string[]
  readonly zone: string
}

/**
 * Opens an incarnation. `outbox` holds reports of the previous one, judged before its remaining attempts end as lost.
 * An equal number is a duplicate (its offer is refreshed); a lower one is refused.
 */
export interface AnnounceCommand {
  readonly type: 'announce'
  readonly node: NodeId
  readonly incarnation: Incarnation
  readonly offer: NodeOffer
  readonly outbox: readonly AttemptReport[]
  readonly retryDelayMs: DurationMs
}

/**
 * Ends an incarnation: its lease lapsed, or the node left by itself. At most LIMITS.batchTasks attempts a command;
 * re-driven while attempts of this or an earlier incarnation are left.
 */
export interface EndIncarnationCommand {
  readonly type: 'end-incarnation'
  readonly node: NodeId
  readonly incarnation: Incarnation
  readonly reason: 'lost' | 'stopped'
  readonly retryDelayMs: DurationMs
}

/** Marks a node as leaving: no placements, no new incarnation. */
export interface LeaveCommand {
  readonly type: 'leave'
  /** Present when somebody waits for the outcome. */
  readonly origin?: Origin
  readonly node: NodeId
}

/** Forgets a node that left and has no open incarnation. Its number is never used again. */
export interface RemoveNodeCommand {
  readonly type: 'remove-node'
  /** Present when somebody waits for the outcome. */
  readonly origin?: Origin
  readonly node: NodeId
}

export interface SetSettingsCommand {
  readonly type: 'set-settings'
  /** Present when somebody waits for the outcome. */
  readonly origin?: Origin
  readonly settings: Partial<Omit<Settings, 'policyChoice' | 'policyChange'>>
  /** The choice of operators that must still be the last one for this to be done (`Settings.policyChoice`); absent: an operator asks. */
  readonly expectedPolicyChoice?: number
  /** Why the policy changes; at most LIMITS.modelReasonLength. */
  readonly reason?: string
  /** What the record of the change keeps as its `returns`; absent for 0. An integer ≥ 0. */
  readonly returns?: number
}

/** Makes a new model the shadow; a shadow that is there retires. */
export interface PublishModelCommand {
  readonly type: 'publish-model'
  /** Present when somebody waits for the outcome. */
  readonly origin?: Origin
  readonly weights: Uint8Array
  readonly trainedOn: number
  /** UTF-8 JSON. */
  readonly evaluation: Uint8Array
}

/**
 * `promote`: the model serves from here on, and the one that did retires. `reject`: a shadow is not to serve. `roll-back`:
 * the serving one stops; with `toPrevious` the one that served before it takes its place, else none serves.
 */
export type ModelVerdict = 'promote' | 'reject' | 'roll-back'

export interface JudgeModelCommand {
  readonly type: 'judge-model'
  /** Present when somebody waits for the outcome. */
  readonly origin?: Origin
  readonly version: number
  readonly verdict: ModelVerdict
  /** The state that the judge saw; in another one the verdict is refused. */
  readonly expected?: ModelState
  /** For `roll-back` alone. */
  readonly toPrevious: boolean
  readonly reason: string
  /** Takes the place of the model's evaluation when present. UTF-8 JSON. */
  readonly evaluation?: Uint8Array
}

/** Retires up to LIMITS.batchTasks of the oldest tombstones that ended before `before` or exceed the count bound. */
export interface RetireCommand {
  readonly type: 'retire'
  readonly before: TimestampMs
}

/** Drops idempotency keys that have expired, up to LIMITS.batchTasks of the tasks that they keep. */
interface ExpireKeysCommand {
  readonly type: 'expire-keys'
}

export type Command =
  | SubmitCommand
  | CancelCommand
  | PlaceCommand
  | PlaceCopyCommand
  | StartCommand
  | CompleteCommand
  | StopCommand
  | WakeCommand
  | ExpireCommand
  | RegisterNodeCommand
  | AnnounceCommand
  | EndIncarnationCommand
  | LeaveCommand
  | RemoveNodeCommand
  | SetSettingsCommand
  | RetireCommand
  | ExpireKeysCommand
  | PublishModelCommand
  | JudgeModelCommand

export type CommandType = Command['type']

/** The content of one log entry. */
export interface CommandBatch {
  /** The leader's clock when it proposed; state time is the maximum seen. */
  readonly stampedAt: TimestampMs
  readonly commands: readonly Command[]
}
