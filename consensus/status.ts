/** What a peer says about itself, for operators, placement of learners and tests. */
import type { ConfState, HardState, Role } from './types.ts'

/** How the leader feeds a follower: one message at a time, a stream, or waiting for a snapshot to be installed. */
export type ProgressState = 'probe' | 'replicate' | 'snapshot'

/** A copy of what the leader knows about one peer. */
export interface ProgressStatus {
  readonly id: number
  /** Highest index known to be on the peer. */
  readonly match: number
  /** Index of the next entry to send. */
  readonly next: number
  readonly state: ProgressState
  readonly isLearner: boolean
  /** Whether the peer was heard of since the last CheckQuorum. */
  readonly recentActive: boolean
  readonly paused: boolean
  /** Index of the snapshot being sent, or 0. */
  readonly pendingSnapshot: number
  readonly inflightMessages: number
  /** Whether the window of messages in flight is full. */
  readonly inflightFull: boolean
}

/** A peer's state without the followers' progress. */
export interface BasicStatus {
  readonly id: number
  readonly hardState: HardState
  readonly lead: number
  readonly role: Role
  readonly applied: number
  /** The peer that leadership is being handed to, or NONE. */
  readonly leadTransferee: number
}

/** A peer's state; `progress` (sorted by id, itself included) is filled on the leader only. */
export interface RaftStatus extends BasicStatus {
  readonly confState: ConfState
  readonly progress: readonly ProgressStatus[]
}
