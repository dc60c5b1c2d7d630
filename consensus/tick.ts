/** What the passing of a tick does in each role. */
import { startCampaign } from './elections.ts'
import { maybeAutoLeave } from './proposals.ts'
import type { Raft } from './raft.ts'
import { broadcastHeartbeat } from './replication.ts'
import { checkQuorum } from './step-leader.ts'
import { NONE } from './types.ts'

/** Advances logical time by one tick. */
export function tick(raft: Raft): void {
  if (raft.role === 'leader') tickLeader(raft)
  else tickOthers(raft)
}

function tickOthers(raft: Raft): void {
  raft.electionElapsed++
  if (!raft.promotable || raft.electionElapsed < raft.randomizedElectionTicks) return
  raft.electionElapsed = 0
  startCampaign(raft, raft.config.preVote ? 'pre-election' : 'election')
}

function tickLeader(raft: Raft): void {
  raft.heartbeatElapsed++
  raft.electionElapsed++
  if (raft.electionElapsed >= raft.config.electionTicks) {
    raft.electionElapsed = 0
    if (raft.config.checkQuorum) checkQuorum(raft)
    if (raft.leadTransferee !== NONE) abandonTransfer(raft)
  }
  // CheckQuorum may have ended the leadership.
  if (raft.role !== 'leader' || raft.heartbeatElapsed < raft.config.heartbeatTicks) return
  raft.heartbeatElapsed = 0
  broadcastHeartbeat(raft)
}

/** The transferee had its election timeout; the leader takes proposals again. */
function abandonTransfer(raft: Raft): void {
  raft.leadTransferee = NONE
  maybeAutoLeave(raft)
}
