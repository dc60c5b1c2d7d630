/** The gate that every message passes: terms first, then what is the same in every role, then the role's own handler. */
import { hex } from './describe.ts'
import { handleVoteRequest, isTransferVote, rejectStalePreVote, startCampaign } from './elections.ts'
import { entriesSize } from './entry-size.ts'
import { maybeAutoLeave } from './proposals.ts'
import type { Raft } from './raft.ts'
import { shrinkUncommitted } from './replication.ts'
import { becomeFollower } from './roles.ts'
import { stepCandidate } from './step-candidate.ts'
import { stepFollower } from './step-follower.ts'
import { stepLeader } from './step-leader.ts'
import type { Entry, Message, Snapshot, StepResult } from './types.ts'
import { NONE } from './types.ts'

/** Takes one message, local or not. */
export function step(raft: Raft, message: Message): StepResult {
  if (message.term > raft.term) {
    if (!admitHigherTerm(raft, message)) return 'ok'
  } else if (message.term !== 0 && message.term < raft.term) {
    handleLowerTerm(raft, message)
    return 'ok'
  }
  switch (message.type) {
    case 'MsgHup':
      startCampaign(raft, raft.config.preVote ? 'pre-election' : 'election')
      return 'ok'
    case 'MsgVote':
    case 'MsgPreVote':
      handleVoteRequest(raft, message)
      return 'ok'
    case 'MsgStorageAppendResp':
      if (message.index !== 0) raft.log.unstable.stableTo(message.index, message.logTerm)
      if (message.snapshot !== undefined) snapshotInstalled(raft, message.snapshot)
      return 'ok'
    case 'MsgStorageApplyResp':
      entriesApplied(raft, message.entries)
      return 'ok'
    default:
      return stepByRole(raft, message)
  }
}

function stepByRole(raft: Raft, message: Message): StepResult {
  switch (raft.role) {
    case 'leader':
      return stepLeader(raft, message)
    case 'follower':
      return stepFollower(raft, message)
    default:
      return stepCandidate(raft, message)
  }
}

/** Moves to the message's term where it must. False when the message is to be ignored. */
function admitHigherTerm(raft: Raft, message: Message): boolean {
  const { type } = message
  if ((type === 'MsgVote' || type === 'MsgPreVote') && isLeaseHeld(raft) && !isTransferVote(message)) {
    raft.logger.info(
      () =>
        `${hex(raft.id)} [logterm: ${raft.log.lastTerm}, index: ${raft.log.lastIndex}, vote: ${hex(raft.vote)}] ignored ${type} ` +
        `from ${hex(message.from)} [logterm: ${message.logTerm}, index: ${message.index}] at term ${raft.term}: lease is not expired ` +
        `(remaining ticks: ${raft.config.electionTicks - raft.electionElapsed})`
    )
    return false
  }
  // A pre-vote changes nobody's term; one that is granted carries the term its sender would campaign in.
  if (type === 'MsgPreVote' || (type === 'MsgPreVoteResp' && !message.reject)) return true
  raft.logger.info(
    () =>
      `${hex(raft.id)} [term: ${raft.term}] received a ${type} message with higher term from ${hex(message.from)} [term: ${message.term}]`
  )
  const fromLeader = type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap'
  becomeFollower(raft, message.term, fromLeader ? message.from : NONE)
  return true
}

/** With CheckQuorum, a peer that has heard of a leader within the smallest election timeout helps nobody to replace it. */
function isLeaseHeld(raft: Raft): boolean {
  return raft.config.checkQuorum && raft.lead !== NONE && raft.electionElapsed < raft.config.electionTicks
}

function handleLowerTerm(raft: Raft, message: Message): void {
  const { type } = message
  if ((raft.config.checkQuorum || raft.config.preVote) && (type === 'MsgHeartbeat' || type === 'MsgApp')) {
    // This peer may be stuck in a higher term that nobody else would move to, as votes are ignored while a leader is
    // alive. Its answer tells the leader the term, and frees it by an election.
    raft.send({ type: 'MsgAppResp', to: message.from })
  } else if (type === 'MsgPreVote') {
    rejectStalePreVote(raft, message)
  } else if (type === 'MsgStorageAppendResp') {
    handleStaleAppendResponse(raft, message)
  } else {
    raft.logger.info(
      () =>
        `${hex(raft.id)} [term: ${raft.term}] ignored a ${type} message with lower term from ${hex(message.from)} [term: ${message.term}]`
    )
  }
}

/**
 * Entries that were appended in an earlier term may have been replaced since, and again by equal ones whose write is
 * still under way: they do not count as durable. A snapshot holds committed state only, so its installation counts.
 */
function handleStaleAppendResponse(raft: Raft, message: Message): void {
  if (message.index !== 0) {
    raft.logger.info(
      () =>
        `${hex(raft.id)} [term: ${raft.term}] ignored entry appends from a ${message.type} message with lower term [term: ${message.term}]`
    )
  }
  if (message.snapshot !== undefined) snapshotInstalled(raft, message.snapshot)
}

function snapshotInstalled(raft: Raft, snapshot: Snapshot): void {
  raft.log.unstable.stableSnapTo(snapshot.index)
  appliedTo(raft, snapshot.index, 0)
}

function entriesApplied(raft: Raft, entries: readonly Entry[]): void {
  const last = entries.at(-1)
  if (last === undefined) return
  appliedTo(raft, last.index, entriesSize(entries))
  shrinkUncommitted(raft, entries)
}

function appliedTo(raft: Raft, index: number, sizeBytes: number): void {
  raft.log.appliedTo(Math.max(index, raft.log.applied), sizeBytes)
  maybeAutoLeave(raft)
}
