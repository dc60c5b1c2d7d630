/** Linearizable reads on the leader: ReadIndex with a heartbeat round, or trusting the lease. Raft thesis §6.4. */
import type { Raft } from './raft.ts'
import { broadcastHeartbeat } from './replication.ts'
import type { Message } from './types.ts'
import { NONE, NO_BYTES } from './types.ts'

/** Takes a read request from this node or, forwarded, from a follower. */
export function handleReadRequest(raft: Raft, request: Message): void {
  if (raft.tracker.isSingleton && raft.tracker.isVoter(raft.id)) {
    answerRead(raft, request, raft.log.committed)
  } else if (committedInCurrentTerm(raft)) {
    startRead(raft, request)
  } else {
    // The commit index may lag behind what the last leader acknowledged until an entry of this term is committed.
    raft.earlyReads.push(request)
  }
}

/** Begins the reads that waited for this leader's first commit. */
export function releaseEarlyReads(raft: Raft): void {
  if (raft.earlyReads.length === 0 || !committedInCurrentTerm(raft)) return
  const requests = raft.earlyReads
  raft.earlyReads = []
  for (const request of requests) startRead(raft, request)
}

/** Answers the reads whose leadership is confirmed by now. */
export function answerConfirmedReads(raft: Raft): void {
  for (const { request, index } of raft.reads.takeConfirmed(raft.tracker.membership.voters)) {
    answerRead(raft, request, index)
  }
}

function startRead(raft: Raft, request: Message): void {
  if (raft.config.readOnly === 'lease-based') {
    answerRead(raft, request, raft.log.committed)
    return
  }
  raft.reads.add(request, raft.log.committed)
  raft.reads.acknowledge(raft.id, raft.reads.context())
  broadcastHeartbeat(raft)
}

function answerRead(raft: Raft, request: Message, index: number): void {
  if (request.from === NONE || request.from === raft.id) {
    raft.readStates.push({ index, context: request.entries[0]?.data ?? NO_BYTES })
  } else {
    raft.send({ type: 'MsgReadIndexResp', to: request.from, index, entries: request.entries })
  }
}

function committedInCurrentTerm(raft: Raft): boolean {
  return raft.log.termOrZero(raft.log.committed) === raft.term
}
