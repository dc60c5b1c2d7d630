/** What a follower does with messages of its term, and how any peer takes appends, heartbeats and snapshots of a leader. */
import { hex } from './describe.ts'
import { startCampaign } from './elections.ts'
import { restoreSnapshot } from './membership.ts'
import type { Raft } from './raft.ts'
import type { Message, StepResult } from './types.ts'
import { NONE } from './types.ts'

/** Handles a message as a follower. */
export function stepFollower(raft: Raft, message: Message): StepResult {
  switch (message.type) {
    case 'MsgProp':
      return forwardProposal(raft, message)
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      raft.electionElapsed = 0
      raft.lead = message.from
      handleFromLeader(raft, message)
      return 'ok'
    case 'MsgTransferLeader':
      forwardToLeader(raft, message, 'dropping leader transfer msg')
      return 'ok'
    case 'MsgReadIndex':
      forwardToLeader(raft, message, 'dropping index reading msg')
      return 'ok'
    case 'MsgForgetLeader':
      forgetLeader(raft)
      return 'ok'
    case 'MsgTimeoutNow':
      raft.logger.info(
        () =>
          `${hex(raft.id)} [term ${raft.term}] received MsgTimeoutNow from ${hex(message.from)} and starts an election to get leadership.`
      )
      // No pre-vote: the leader itself asked, so there is no partition to recover from.
      startCampaign(raft, 'transfer')
      return 'ok'
    case 'MsgReadIndexResp':
      handleReadResponse(raft, message)
      return 'ok'
    default:
      return 'ok'
  }
}

/** Takes an append, heartbeat or snapshot of this term's leader. */
export function handleFromLeader(raft: Raft, message: Message): void {
  if (message.type === 'MsgApp') handleAppend(raft, message)
  else if (message.type === 'MsgHeartbeat') handleHeartbeat(raft, message)
  else handleSnapshot(raft, message)
}

function handleAppend(raft: Raft, message: Message): void {
  const { from, index, logTerm, entries, commit } = message
  if (index < raft.log.committed) {
    raft.send({ type: 'MsgAppResp', to: from, index: raft.log.committed })
    return
  }
  const lastNew = raft.log.maybeAppend(index, logTerm, entries, commit)
  if (lastNew !== undefined) {
    raft.send({ type: 'MsgAppResp', to: from, index: lastNew })
    return
  }
  raft.logger.debug(
    () =>
      `${hex(raft.id)} [logterm: ${raft.log.termOrZero(index)}, index: ${index}] rejected MsgApp ` +
      `[logterm: ${logTerm}, index: ${index}] from ${hex(from)}`
  )
  // The highest place where the logs may agree, so that the leader skips a diverging tail a term at a time.
  const hint = raft.log.findConflictByTerm(Math.min(index, raft.log.lastIndex), logTerm)
  raft.send({
    type: 'MsgAppResp',
    to: from,
    index,
    reject: true,
    rejectHint: hint.index,
    logTerm: hint.term
  })
}

function handleHeartbeat(raft: Raft, message: Message): void {
  raft.log.commitTo(message.commit)
  raft.send({ type: 'MsgHeartbeatResp', to: message.from, context: message.context })
}

function handleSnapshot(raft: Raft, message: Message): void {
  const { snapshot } = message
  const index = snapshot?.index ?? 0
  const term = snapshot?.term ?? 0
  const restored = snapshot !== undefined && restoreSnapshot(raft, snapshot)
  raft.logger.info(
    () =>
      `${hex(raft.id)} [commit: ${raft.log.committed}] ${restored ? 'restored' : 'ignored'} snapshot [index: ${index}, term: ${term}]`
  )
  const acknowledged = restored ? raft.log.lastIndex : raft.log.committed
  raft.send({ type: 'MsgAppResp', to: message.from, index: acknowledged })
}

function forwardProposal(raft: Raft, message: Message): StepResult {
  if (raft.lead === NONE) {
    raft.logger.info(() => `${hex(raft.id)} no leader at term ${raft.term}; dropping proposal`)
    return 'no-leader'
  }
  if (raft.config.disableProposalForwarding) {
    raft.logger.info(
      () =>
        `${hex(raft.id)} not forwarding to leader ${hex(raft.lead)} at term ${raft.term}; dropping proposal`
    )
    return 'not-forwarded'
  }
  forward(raft, message)
  return 'ok'
}

function forwardToLeader(raft: Raft, message: Message, otherwise: string): void {
  if (raft.lead === NONE) {
    raft.logger.info(() => `${hex(raft.id)} no leader at term ${raft.term}; ${otherwise}`)
    return
  }
  forward(raft, message)
}

function forward(raft: Raft, message: Message): void {
  const { type, entries } = message
  const from = message.from === NONE ? raft.id : message.from
  raft.send({ type, to: raft.lead, from, entries })
}

function forgetLeader(raft: Raft): void {
  if (raft.config.readOnly === 'lease-based') {
    raft.logger.error(() => 'ignoring MsgForgetLeader due to ReadOnlyLeaseBased')
    return
  }
  if (raft.lead === NONE) return
  raft.logger.info(() => `${hex(raft.id)} forgetting leader ${hex(raft.lead)} at term ${raft.term}`)
  raft.lead = NONE
}

function handleReadResponse(raft: Raft, message: Message): void {
  const [request, ...others] = message.entries
  if (request === undefined || others.length > 0) {
    raft.logger.error(
      () =>
        `${hex(raft.id)} invalid format of MsgReadIndexResp from ${hex(message.from)}, entries count: ${message.entries.length}`
    )
    return
  }
  raft.readStates.push({ index: message.index, context: request.data })
}
