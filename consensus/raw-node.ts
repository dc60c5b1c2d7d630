/** The surface of the Raft core. */
import type { RaftStatus, BasicStatus } from './status.ts'
import type { ConfChange, ConfState, Message, Ready, Role, StepResult } from './types.ts'

/**
 * One Raft peer as a pure state machine: `tick`, `step` and the proposals change it, `ready` says what must be done.
 *
 * Synchronous storage: while `hasReady()`, take `ready()`, persist hardState, entries and snapshot (synced when
 * `mustSync`), send messages, apply snapshot and committedEntries, then call `advance()`.
 *
 * Asynchronous storage (`asyncStorageWrites`): send every message at once. `MsgStorageAppend` (to LOCAL_APPEND_THREAD)
 * and `MsgStorageApply` (to LOCAL_APPLY_THREAD) go to the local threads, each in order; when its work is durable (append)
 * or done (apply), deliver its `responses`: those addressed to this id back through `step`, others to the network.
 * A `MsgStorageAppend` without responses need not be synced. `advance` is not used.
 */
export interface RawNode {
  readonly id: number
  readonly term: number
  readonly role: Role
  /** The known leader, or NONE. */
  readonly lead: number
  readonly committed: number
  readonly applied: number
  /** The last index of the log, durable or not: after an `ok` proposal on the leader, that proposal's index. */
  readonly lastIndex: number
  /** Advances logical time by one tick. */
  tick(): void
  /** Starts an election now (with PreVote when configured). */
  campaign(): StepResult
  /** Proposes one entry. The bytes are kept, not copied. */
  propose(data: Uint8Array): StepResult
  /** Proposes a membership change; one that is not allowed now becomes an empty entry. */
  proposeConfChange(change: ConfChange): StepResult
  /** Takes a committed membership change into effect; call it when applying such an entry, unless it is refused. */
  applyConfChange(change: ConfChange): ConfState
  /** Takes a message from a peer or from a local storage thread. */
  step(message: Message): StepResult
  /** Asks for a linearizable read; the answer appears in a later `readStates` with the same bytes, or never. */
  readIndex(context: Uint8Array): StepResult
  /** Hands leadership to a voter; works on the leader and, forwarded, on a follower. */
  transferLeader(transferee: number): void
  /** Makes a follower forget its leader, so that it may grant votes before its timeout. */
  forgetLeader(): StepResult
  /** The last message to this peer was not delivered. */
  reportUnreachable(id: number): void
  /** A snapshot sent to this peer was installed, or failed. */
  reportSnapshot(id: number, status: 'finished' | 'failed'): void
  hasReady(): boolean
  ready(): Ready
  /** Synchronous storage only: the last `ready()` was handled in full. */
  advance(): void
  status(): RaftStatus
  basicStatus(): BasicStatus
}
