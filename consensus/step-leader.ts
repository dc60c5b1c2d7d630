/** What a leader does with messages of its term. */
import { describeProgress, hex } from './describe.ts'
import { proposeAsLeader } from './proposals.ts'
import type { Raft } from './raft.ts'
import { answerConfirmedReads, handleReadRequest, releaseEarlyReads } from './reads.ts'
import { broadcastAppend, broadcastHeartbeat, maybeCommit, sendAppend } from './replication.ts'
import { becomeFollower } from './roles.ts'
import type { Progress } from './tracker/progress.ts'
import { continueTransfer, startTransfer } from './transfer.ts'
import type { Message, StepResult } from './types.ts'
import { NONE } from './types.ts'

/** Handles a message as the leader. */
export function stepLeader(raft: Raft, message: Message): StepResult {
  switch (message.type) {
    case 'MsgBeat':
      broadcastHeartbeat(raft)
      return 'ok'
    case 'MsgCheckQuorum':
      checkQuorum(raft)
      return 'ok'
    case 'MsgProp':
      return proposeAsLeader(raft, message.entries)
    case 'MsgReadIndex':
      handleReadRequest(raft, message)
      return 'ok'
    case 'MsgForgetLeader':
      return 'ok'
    default: {
      const peer = raft.tracker.get(message.from)
      if (peer === undefined) {
        raft.logger.debug(() => `${hex(raft.id)} no progress available for ${hex(message.from)}`)
      } else {
        handleFromPeer(raft, peer, message)
      }
      return 'ok'
    }
  }
}

/** Steps down unless a quorum was heard of since the last call. */
export function checkQuorum(raft: Raft): void {
  if (!raft.tracker.quorumActive()) {
    raft.logger.warning(() => `${hex(raft.id)} stepped down to follower since quorum is not active`)
    becomeFollower(raft, raft.term, NONE)
  }
  for (const peer of raft.tracker.peers) {
    if (peer.id !== raft.id) peer.recentActive = false
  }
}

function handleFromPeer(raft: Raft, peer: Progress, message: Message): void {
  switch (message.type) {
    case 'MsgAppResp':
      peer.recentActive = true
      if (message.reject) handleRejectedAppend(raft, peer, message)
      else handleAcceptedAppend(raft, peer, message.index)
      return
    case 'MsgHeartbeatResp':
      handleHeartbeatResponse(raft, peer, message)
      return
    case 'MsgSnapStatus':
      handleSnapshotStatus(raft, peer, message.reject)
      return
    case 'MsgUnreachable':
      // What is in flight on an optimistic stream is probably lost.
      if (peer.state === 'replicate') peer.becomeProbe()
      raft.logger.debug(
        () =>
          `${hex(raft.id)} failed to send message to ${hex(peer.id)} because it is unreachable [${describeProgress(peer.status())}]`
      )
      return
    case 'MsgTransferLeader':
      startTransfer(raft, peer)
      return
    default:
      return
  }
}

/**
 * The follower's log does not have the entry before the append. Its hint is the highest place where the logs may agree
 * by what it knows; the leader goes further back past all its entries of terms above the hint's, which the follower
 * cannot have. Together they need at most one probe per term.
 */
function handleRejectedAppend(raft: Raft, peer: Progress, message: Message): void {
  raft.logger.debug(
    () =>
      `${hex(raft.id)} received MsgAppResp(rejected, hint: (index ${message.rejectHint}, term ${message.logTerm})) ` +
      `from ${hex(message.from)} for index ${message.index}`
  )
  const hint =
    message.logTerm > 0
      ? raft.log.findConflictByTerm(message.rejectHint, message.logTerm).index
      : message.rejectHint
  if (!peer.maybeDecrease(message.index, hint)) return
  raft.logger.debug(
    () => `${hex(raft.id)} decreased progress of ${hex(peer.id)} to [${describeProgress(peer.status())}]`
  )
  if (peer.state === 'replicate') peer.becomeProbe()
  sendAppend(raft, peer, true)
}

function handleAcceptedAppend(raft: Raft, peer: Progress, index: number): void {
  // An acknowledgement that is no news still ends a probe: the logs agree there.
  const news = peer.maybeUpdate(index) || (peer.match === index && peer.state === 'probe')
  if (!news) return
  advanceState(raft, peer, index)
  const isSelf = peer.id === raft.id
  if (maybeCommit(raft)) {
    releaseEarlyReads(raft)
    broadcastAppend(raft)
  } else if (!isSelf && peer.canBumpCommit(raft.log.committed)) {
    sendAppend(raft, peer, true)
  }
  if (isSelf) return
  // The acknowledgement may have made room for several messages.
  let sent = true
  while (sent) sent = sendAppend(raft, peer, false)
  continueTransfer(raft, peer)
}

function advanceState(raft: Raft, peer: Progress, index: number): void {
  if (peer.state === 'probe') {
    peer.becomeReplicate()
  } else if (peer.state === 'replicate') {
    peer.inflights.freeUpTo(index)
  } else if (peer.match + 1 >= raft.log.firstIndex) {
    // Whatever snapshot it installed, its log reconnects with ours.
    raft.logger.debug(
      () =>
        `${hex(raft.id)} recovered from needing snapshot, resumed sending replication messages to ${hex(peer.id)} [${describeProgress(peer.status())}]`
    )
    peer.becomeProbe()
    peer.becomeReplicate()
  }
}

function handleHeartbeatResponse(raft: Raft, peer: Progress, message: Message): void {
  peer.recentActive = true
  peer.flowPaused = false
  // A caught-up peer in state probe gets an empty append too, whose answer brings it back to replicate.
  if (peer.match < raft.log.lastIndex || peer.state === 'probe') sendAppend(raft, peer, true)
  if (message.context === undefined) return
  raft.reads.acknowledge(message.from, message.context)
  answerConfirmedReads(raft)
}

function handleSnapshotStatus(raft: Raft, peer: Progress, failed: boolean): void {
  if (peer.state !== 'snapshot') return
  // A snapshot that failed must not be the base of the next probe.
  if (failed) peer.pendingSnapshot = 0
  peer.becomeProbe()
  raft.logger.debug(
    () =>
      `${hex(raft.id)} snapshot ${failed ? 'failed' : 'succeeded'}, resumed sending replication messages to ${hex(peer.id)} [${describeProgress(peer.status())}]`
  )
  // Wait for the peer's own acknowledgement, or for a heartbeat's before trying again.
  peer.flowPaused = true
}
