/** What a candidate or pre-candidate does with messages of its term. */
import { describeRole, hex } from './describe.ts'
import { handleVoteResponse } from './elections.ts'
import type { Raft } from './raft.ts'
import { becomeFollower } from './roles.ts'
import { handleFromLeader } from './step-follower.ts'
import type { Message, StepResult } from './types.ts'

/** Handles a message as a candidate or pre-candidate. */
export function stepCandidate(raft: Raft, message: Message): StepResult {
  switch (message.type) {
    case 'MsgProp':
      raft.logger.info(() => `${hex(raft.id)} no leader at term ${raft.term}; dropping proposal`)
      return 'no-leader'
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      // Somebody else won this term.
      becomeFollower(raft, message.term, message.from)
      handleFromLeader(raft, message)
      return 'ok'
    case 'MsgVoteResp':
      if (raft.role === 'candidate') handleVoteResponse(raft, message)
      return 'ok'
    case 'MsgPreVoteResp':
      if (raft.role === 'pre-candidate') handleVoteResponse(raft, message)
      return 'ok'
    case 'MsgTimeoutNow':
      raft.logger.debug(
        () =>
          `${hex(raft.id)} [term ${raft.term} state ${describeRole(raft.role)}] ignored MsgTimeoutNow from ${hex(message.from)}`
      )
      return 'ok'
    default:
      return 'ok'
  }
}
