/** Campaigns and votes. Raft paper §5.2, §5.4.1; thesis §3.10 (transfer), §9.6 (PreVote). */
import { hex } from './describe.ts'
import type { Raft } from './raft.ts'
import { broadcastAppend } from './replication.ts'
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts'
import type { Message } from './types.ts'
import { NONE } from './types.ts'

/** Why a campaign is held: to learn if it could be won, to win it, or because the leader hands over. */
export type CampaignKind = 'pre-election' | 'election' | 'transfer'

/** The context by which a vote request tells that the leader itself asked for it. */
const TRANSFER_MARK: Uint8Array = Uint8Array.from('CampaignTransfer', (char) => char.charCodeAt(0))

/** Whether a vote request comes from a leadership transfer, which no leader's lease holds up. */
export function isTransferVote(message: Message): boolean {
  const { context } = message
  return context?.length === TRANSFER_MARK.length && TRANSFER_MARK.every((byte, at) => byte === context[at])
}

/** Campaigns unless this peer leads, may not, or has a committed membership change still to apply. */
export function startCampaign(raft: Raft, kind: CampaignKind): void {
  if (raft.role === 'leader') {
    raft.logger.debug(() => `${hex(raft.id)} ignoring MsgHup because already leader`)
    return
  }
  if (!raft.promotable) {
    raft.logger.warning(() => `${hex(raft.id)} is unpromotable and can not campaign`)
    return
  }
  if (raft.log.hasUnapplied(['conf-change', 'conf-change-v2'])) {
    raft.logger.warning(
      () =>
        `${hex(raft.id)} cannot campaign at term ${raft.term} since there are still pending configuration changes to apply`
    )
    return
  }
  raft.logger.info(() => `${hex(raft.id)} is starting a new election at term ${raft.term}`)
  campaign(raft, kind)
}

/** Grants or refuses a vote, or the promise of one. Learners vote too: they may have been promoted without knowing. */
export function handleVoteRequest(raft: Raft, message: Message): void {
  const isPreVote = message.type === 'MsgPreVote'
  const free =
    raft.vote === message.from ||
    (raft.vote === NONE && raft.lead === NONE) ||
    (isPreVote && message.term > raft.term)
  const granted = free && raft.log.isUpToDate(message.index, message.logTerm)
  logVerdict(raft, message, granted ? 'cast' : 'rejected')
  const type = isPreVote ? 'MsgPreVoteResp' : 'MsgVoteResp'
  if (!granted) {
    raft.send({ type, to: message.from, term: raft.term, reject: true })
    return
  }
  // The answer carries the request's term: that of a pre-vote is ahead of ours, and an answer from the past is ignored.
  raft.send({ type, to: message.from, term: message.term })
  if (isPreVote) return
  raft.electionElapsed = 0
  raft.vote = message.from
}

/** Refuses a pre-vote from a lower term, so that its sender learns the term instead of asking for ever. */
export function rejectStalePreVote(raft: Raft, message: Message): void {
  logVerdict(raft, message, 'rejected')
  raft.send({ type: 'MsgPreVoteResp', to: message.from, term: raft.term, reject: true })
}

/** Counts an answer to this peer's own campaign and acts when that decides it. */
export function handleVoteResponse(raft: Raft, message: Message): void {
  const { from, type } = message
  raft.logger.info(
    () =>
      `${hex(raft.id)} received ${type}${message.reject ? ' rejection' : ''} from ${hex(from)} at term ${raft.term}`
  )
  raft.tracker.recordVote(from, !message.reject)
  const { granted, rejected, result } = raft.tracker.tallyVotes()
  raft.logger.info(
    () => `${hex(raft.id)} has received ${granted} ${type} votes and ${rejected} vote rejections`
  )
  if (result === 'lost') becomeFollower(raft, raft.term, NONE)
  if (result !== 'won') return
  if (raft.role === 'pre-candidate') {
    campaign(raft, 'election')
  } else {
    becomeLeader(raft)
    broadcastAppend(raft)
  }
}

function campaign(raft: Raft, kind: CampaignKind): void {
  const isPreVote = kind === 'pre-election'
  if (isPreVote) becomePreCandidate(raft)
  else becomeCandidate(raft)
  const type = isPreVote ? 'MsgPreVote' : 'MsgVote'
  const term = isPreVote ? raft.term + 1 : raft.term
  const index = raft.log.lastIndex
  const logTerm = raft.log.lastTerm
  for (const id of raft.tracker.voterIds()) {
    if (id === raft.id) {
      // Its own vote counts only when it is on disk, like everybody else's.
      raft.send({ type: isPreVote ? 'MsgPreVoteResp' : 'MsgVoteResp', to: id, term })
      continue
    }
    raft.logger.info(
      () =>
        `${hex(raft.id)} [logterm: ${logTerm}, index: ${index}] sent ${type} request to ${hex(id)} at term ${raft.term}`
    )
    const context = kind === 'transfer' ? TRANSFER_MARK : undefined
    raft.send({ type, to: id, term, index, logTerm, context })
  }
}

function logVerdict(raft: Raft, message: Message, verdict: 'cast' | 'rejected'): void {
  raft.logger.info(() => {
    const own = `logterm: ${raft.log.lastTerm}, index: ${raft.log.lastIndex}, vote: ${hex(raft.vote)}`
    const theirs = `logterm: ${message.logTerm}, index: ${message.index}`
    const link = verdict === 'cast' ? 'for' : 'from'
    return `${hex(raft.id)} [${own}] ${verdict} ${message.type} ${link} ${hex(message.from)} [${theirs}] at term ${raft.term}`
  })
}
