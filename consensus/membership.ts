/** Membership taking effect: from applied changes and from snapshots. Raft thesis §4; paper §7. */
import { invariant } from '../base/invariant.ts'
import { jointPlan, leavesJoint, toV2 } from './conf-change.ts'
import { baseOf, enterJoint, leaveJoint, simpleChange } from './confchange/changer.ts'
import { restoreMembership } from './confchange/restore.ts'
import { describeConfStateFields, describeMembership, hex } from './describe.ts'
import type { Raft } from './raft.ts'
import { answerConfirmedReads } from './reads.ts'
import { broadcastAppend, broadcastNewEntries, maybeCommit } from './replication.ts'
import { becomeFollower } from './roles.ts'
import type { Membership, ProgressMap } from './tracker/tracker.ts'
import { toConfState } from './tracker/tracker.ts'
import type { ConfChange, ConfState, Snapshot } from './types.ts'
import { NONE } from './types.ts'

/** Takes a committed change into effect. Throws `InvariantError` if it cannot follow the membership in force. */
export function applyConfChange(raft: Raft, change: ConfChange): ConfState {
  const v2 = toV2(change)
  const base = baseOf(raft.tracker, raft.log.lastIndex)
  const plan = jointPlan(v2)
  const result = leavesJoint(v2)
    ? leaveJoint(base)
    : plan.joint
      ? enterJoint(base, plan.autoLeave, v2.changes)
      : simpleChange(base, v2.changes)
  if (!result.ok) invariant(false, `a committed configuration change cannot be applied: ${result.reason}`)
  return switchMembership(raft, result.membership, result.progress)
}

/** Starts with the membership that the storage knows. */
export function loadMembership(raft: Raft, confState: ConfState): void {
  const { membership, progress } = restoreMembership(raft.tracker, raft.log.lastIndex, confState)
  switchMembership(raft, membership, progress)
}

/** Takes a snapshot from the leader as the new log, unless this log has it all already. True if it is to be installed. */
export function restoreSnapshot(raft: Raft, snapshot: Snapshot): boolean {
  if (snapshot.index <= raft.log.committed) return false
  if (!isMember(snapshot.confState, raft.id)) {
    raft.logger.warning(
      () =>
        `${hex(raft.id)} attempted to restore snapshot but it is not in the ConfState ` +
        `${describeConfStateFields(snapshot.confState)}; should never happen`
    )
    return false
  }
  if (raft.log.matchTerm(snapshot.index, snapshot.term)) {
    logSnapshot(raft, snapshot, 'fast-forwarded commit to snapshot')
    raft.log.commitTo(snapshot.index)
    return false
  }
  raft.log.restore(snapshot)
  loadMembership(raft, snapshot.confState)
  logSnapshot(raft, snapshot, 'restored snapshot')
  return true
}

function switchMembership(raft: Raft, membership: Membership, progress: ProgressMap): ConfState {
  raft.tracker.replace(membership, progress)
  raft.logger.info(() => `${hex(raft.id)} switched to configuration ${describeMembership(membership)}`)
  const own = raft.tracker.get(raft.id)
  raft.isLearner = own?.isLearner ?? false
  if (raft.role === 'leader') switchAsLeader(raft, membership)
  return toConfState(membership)
}

function switchAsLeader(raft: Raft, membership: Membership): void {
  if (raft.tracker.get(raft.id) === undefined || raft.isLearner) {
    // A leader that is no longer a voter may go on until its removal is committed, or step down at once.
    if (raft.config.stepDownOnRemoval) becomeFollower(raft, raft.term, NONE)
    return
  }
  if (membership.voters.incoming.length === 0) return
  if (maybeCommit(raft)) {
    broadcastAppend(raft)
  } else {
    broadcastNewEntries(raft)
  }
  // A smaller quorum may confirm reads that waited for a peer which is gone.
  answerConfirmedReads(raft)
  if (raft.leadTransferee !== NONE && !raft.tracker.isVoter(raft.leadTransferee)) raft.leadTransferee = NONE
}

function isMember(confState: ConfState, id: number): boolean {
  return (
    confState.voters.includes(id) || confState.learners.includes(id) || confState.votersOutgoing.includes(id)
  )
}

function logSnapshot(raft: Raft, snapshot: Snapshot, what: string): void {
  raft.logger.info(
    () =>
      `${hex(raft.id)} [commit: ${raft.log.committed}, lastindex: ${raft.log.lastIndex}, lastterm: ${raft.log.lastTerm}] ` +
      `${what} [index: ${snapshot.index}, term: ${snapshot.term}]`
  )
}
