/** Decisions of a joint configuration: both majorities must agree. With an empty `outgoing` it is a simple majority. */
import { ascending } from '../types.ts'
import type { AckedIndex, VoteResult } from './majority.ts'
import { committedByMajority, voteOfMajority } from './majority.ts'

/** The voters on their way in (or in charge), and on their way out. Sorted, distinct ids. */
export interface JointVoters {
  readonly incoming: readonly number[]
  readonly outgoing: readonly number[]
}

/** The highest index that both majorities have acknowledged. */
export function committedByJoint(voters: JointVoters, acked: AckedIndex): number {
  const incoming = committedByMajority(voters.incoming, acked)
  if (voters.outgoing.length === 0) return incoming
  return Math.min(incoming, committedByMajority(voters.outgoing, acked))
}

/** Won if both majorities grant, lost as soon as one of them is lost. */
export function voteOfJoint(voters: JointVoters, votes: ReadonlyMap<number, boolean>): VoteResult {
  const incoming = voteOfMajority(voters.incoming, votes)
  const outgoing = voteOfMajority(voters.outgoing, votes)
  if (incoming === outgoing) return incoming
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending'
}

/** Every voter of either half, sorted. */
export function jointVoterIds(voters: JointVoters): readonly number[] {
  if (voters.outgoing.length === 0) return voters.incoming
  return [...new Set([...voters.incoming, ...voters.outgoing])].sort(ascending)
}

/** Whether the peer votes in either half. */
export function isVoter(voters: JointVoters, id: number): boolean {
  return voters.incoming.includes(id) || voters.outgoing.includes(id)
}
