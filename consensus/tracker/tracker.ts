/**
 * The membership in force and what is known of each member: progress, votes, activity. It answers who voted, what is
 * committed and whether a quorum is alive; it does not change memberships (see confchange/).
 *
 * Invariant: every voter and learner has a `Progress`, and nobody else has.
 */
import { committedByJoint, isVoter, jointVoterIds, voteOfJoint } from '../quorum/joint.ts'
import type { JointVoters } from '../quorum/joint.ts'
import type { AckedIndex, VoteResult } from '../quorum/majority.ts'
import type { ConfState } from '../types.ts'
import { ascending } from '../types.ts'
import { Inflights } from './inflights.ts'
import type { Progress } from './progress.ts'

/** A membership. All lists are sorted; learners and voters (of either half) never intersect. */
export interface Membership {
  readonly voters: JointVoters
  readonly learners: readonly number[]
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[]
  readonly autoLeave: boolean
}

/** The peers of a membership by id. */
export type ProgressMap = ReadonlyMap<number, Progress>

/** Nobody. */
export const EMPTY_MEMBERSHIP: Membership = {
  voters: { incoming: [], outgoing: [] },
  learners: [],
  learnersNext: [],
  autoLeave: false
}

/** Whether two majorities are needed. */
export function isJoint(membership: Membership): boolean {
  return membership.voters.outgoing.length > 0
}

/** The membership as it is stored in snapshots. */
export function toConfState(membership: Membership): ConfState {
  return {
    voters: membership.voters.incoming,
    learners: membership.learners,
    votersOutgoing: membership.voters.outgoing,
    learnersNext: membership.learnersNext,
    autoLeave: membership.autoLeave
  }
}

/** The mutable tracker of one peer. */
export class ProgressTracker {
  readonly maxInflightMessages: number
  readonly maxInflightBytes: number
  private current: Membership = EMPTY_MEMBERSHIP
  private byId: ProgressMap = new Map()
  private sorted: readonly Progress[] = []
  private votes = new Map<number, boolean>()
  private readonly ackedMatch: AckedIndex = (id) => this.byId.get(id)?.match

  constructor(maxInflightMessages: number, maxInflightBytes: number) {
    this.maxInflightMessages = maxInflightMessages
    this.maxInflightBytes = maxInflightBytes
  }

  get membership(): Membership {
    return this.current
  }

  get progress(): ProgressMap {
    return this.byId
  }

  /** Every tracked peer, by rising id. */
  get peers(): readonly Progress[] {
    return this.sorted
  }

  /** Switches to a membership and its peers. */
  replace(membership: Membership, progress: ProgressMap): void {
    this.current = membership
    this.byId = progress
    this.sorted = [...progress.values()].sort((a, b) => ascending(a.id, b.id))
  }

  get(id: number): Progress | undefined {
    return this.byId.get(id)
  }

  /** A window with this tracker's limits. */
  newInflights(): Inflights {
    return new Inflights(this.maxInflightMessages, this.maxInflightBytes)
  }

  /** Whether one voter alone decides. */
  get isSingleton(): boolean {
    return this.current.voters.incoming.length === 1 && this.current.voters.outgoing.length === 0
  }

  isVoter(id: number): boolean {
    return isVoter(this.current.voters, id)
  }

  /** Every voter of either half, sorted. */
  voterIds(): readonly number[] {
    return jointVoterIds(this.current.voters)
  }

  /** The highest index that a quorum has acknowledged. */
  committed(): number {
    return committedByJoint(this.current.voters, this.ackedMatch)
  }

  /** Whether a quorum was heard of recently. */
  quorumActive(): boolean {
    const active = new Map<number, boolean>()
    for (const peer of this.sorted) {
      if (!peer.isLearner) active.set(peer.id, peer.recentActive)
    }
    return voteOfJoint(this.current.voters, active) === 'won'
  }

  resetVotes(): void {
    this.votes = new Map()
  }

  /** Records a vote; the first one of each peer counts. */
  recordVote(id: number, granted: boolean): void {
    if (!this.votes.has(id)) this.votes.set(id, granted)
  }

  /** The votes so far, and whether they decide. */
  tallyVotes(): { granted: number; rejected: number; result: VoteResult } {
    let granted = 0
    let rejected = 0
    for (const peer of this.sorted) {
      const vote = peer.isLearner ? undefined : this.votes.get(peer.id)
      if (vote === true) granted++
      else if (vote === false) rejected++
    }
    return { granted, rejected, result: voteOfJoint(this.current.voters, this.votes) }
  }
}
