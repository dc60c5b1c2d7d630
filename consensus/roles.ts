/** The four role changes. Raft paper §5.2, figure 4; thesis §9.6 for pre-candidates. */
import { invariant } from '../base/invariant.ts'
import { hex } from './describe.ts'
import type { Raft } from './raft.ts'
import { appendEntries } from './replication.ts'
import { NONE, NO_BYTES } from './types.ts'

/** Follows `lead` (or nobody yet) in `term`. */
export function becomeFollower(raft: Raft, term: number, lead: number): void {
  raft.reset(term)
  raft.lead = lead
  raft.role = 'follower'
  raft.logger.info(() => `${hex(raft.id)} became follower at term ${raft.term}`)
}

/** Begins a new term and votes for itself. */
export function becomeCandidate(raft: Raft): void {
  invariant(raft.role !== 'leader', 'a leader cannot become a candidate')
  raft.reset(raft.term + 1)
  raft.vote = raft.id
  raft.role = 'candidate'
  raft.logger.info(() => `${hex(raft.id)} became candidate at term ${raft.term}`)
}

/** Asks whether it could win. Neither term nor vote change. */
export function becomePreCandidate(raft: Raft): void {
  invariant(raft.role !== 'leader', 'a leader cannot become a pre-candidate')
  raft.tracker.resetVotes()
  raft.lead = NONE
  raft.role = 'pre-candidate'
  raft.logger.info(() => `${hex(raft.id)} became pre-candidate at term ${raft.term}`)
}

/** Leads the current term, beginning with an empty entry of it. */
export function becomeLeader(raft: Raft): void {
  invariant(raft.role !== 'follower', 'a follower cannot become a leader')
  raft.reset(raft.term)
  raft.lead = raft.id
  raft.role = 'leader'
  const own = raft.tracker.get(raft.id)
  invariant(own !== undefined, 'a leader is a member')
  own.becomeReplicate()
  own.recentActive = true
  // There may be a membership change in the log that is not applied yet. Rather than look for it, no further one is
  // accepted until everything that is there now is applied.
  raft.pendingConfIndex = raft.log.lastIndex
  const accepted = appendEntries(raft, [{ type: 'normal', data: NO_BYTES }])
  invariant(accepted, 'an empty entry is never refused')
  raft.logger.info(() => `${hex(raft.id)} became leader at term ${raft.term}`)
}
