/** What a leader does with proposals: checks membership changes, appends, replicates. Raft thesis §4.1. */
import { invariant } from '../base/invariant.ts'
import { LEAVE_JOINT, decodeConfChange, toV2 } from './conf-change.ts'
import { describeConfChangeFields, describeMembership, hex } from './describe.ts'
import type { Raft } from './raft.ts'
import { appendEntries, broadcastAppend } from './replication.ts'
import { isJoint } from './tracker/tracker.ts'
import type { Entry, StepResult } from './types.ts'
import { NONE, NO_BYTES } from './types.ts'

type Proposal = Pick<Entry, 'type' | 'data'>

const REFUSED_CHANGE: Proposal = { type: 'normal', data: NO_BYTES }

/** Appends proposals to the leader's log. A membership change that is not allowed now becomes an empty entry. */
export function proposeAsLeader(raft: Raft, proposals: readonly Proposal[]): StepResult {
  invariant(proposals.length > 0, 'a proposal needs an entry')
  if (raft.tracker.get(raft.id) === undefined) return 'not-a-member'
  if (raft.leadTransferee !== NONE) {
    raft.logger.debug(
      () =>
        `${hex(raft.id)} [term ${raft.term}] transfer leadership to ${hex(raft.leadTransferee)} is in progress; dropping proposal`
    )
    return 'transferring'
  }
  if (!appendEntries(raft, admitChanges(raft, proposals))) return 'overloaded'
  broadcastAppend(raft)
  return 'ok'
}

/**
 * Leaves a joint configuration that is to be left by itself, once everything before it is applied. A proposal that is
 * dropped (leadership is being transferred) is made again when the next entry is applied or the transfer fails, and a new
 * leader makes it after its first entry.
 */
export function maybeAutoLeave(raft: Raft): void {
  if (raft.role !== 'leader' || !raft.tracker.membership.autoLeave) return
  if (raft.log.applied < raft.pendingConfIndex) return
  // Without bytes it stands for leaving, and no bound on uncommitted bytes can refuse it.
  const result = proposeAsLeader(raft, [{ type: 'conf-change-v2', data: NO_BYTES }])
  const membership = describeMembership(raft.tracker.membership)
  if (result === 'ok') {
    raft.logger.info(() => `initiating automatic transition out of joint configuration ${membership}`)
  } else {
    raft.logger.debug(
      () =>
        `not initiating automatic transition out of joint configuration ${membership}: raft proposal dropped`
    )
  }
}

function admitChanges(raft: Raft, proposals: readonly Proposal[]): readonly Proposal[] {
  if (proposals.every((proposal) => proposal.type === 'normal')) return proposals
  const lastIndex = raft.log.lastIndex
  return proposals.map((proposal, at) => {
    if (proposal.type === 'normal') return proposal
    const objection = objectionTo(raft, proposal)
    if (objection !== undefined && !raft.config.disableConfChangeValidation) {
      raft.logger.info(
        () =>
          `${hex(raft.id)} ignoring conf change ${describeConfChangeFields(proposal)} at config ` +
          `${describeMembership(raft.tracker.membership)}: ${objection}`
      )
      return REFUSED_CHANGE
    }
    raft.pendingConfIndex = lastIndex + at + 1
    return proposal
  })
}

/** Why the change may not be proposed now. Best effort: the membership in force may be behind the log. */
function objectionTo(raft: Raft, proposal: Proposal): string | undefined {
  const change = proposal.data.length === 0 ? LEAVE_JOINT : toV2(decodeConfChange(proposal))
  const leaves = change.changes.length === 0
  const joint = isJoint(raft.tracker.membership)
  if (raft.pendingConfIndex > raft.log.applied) {
    return `possible unapplied conf change at index ${raft.pendingConfIndex} (applied to ${raft.log.applied})`
  }
  if (joint && !leaves) return 'must transition out of joint config first'
  if (!joint && leaves) return 'not in joint state; refusing empty conf change'
  return undefined
}
