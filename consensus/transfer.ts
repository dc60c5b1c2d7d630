/** Handing leadership over on the leader's side. Raft thesis §3.10. */
import { hex } from './describe.ts'
import type { Raft } from './raft.ts'
import { sendAppend } from './replication.ts'
import type { Progress } from './tracker/progress.ts'
import { NONE } from './types.ts'

/** Starts to hand over to `transferee`: at once if its log is complete, else when it has caught up. */
export function startTransfer(raft: Raft, transferee: Progress): void {
  if (transferee.isLearner) {
    raft.logger.debug(() => `${hex(raft.id)} is learner. Ignored transferring leadership`)
    return
  }
  const previous = raft.leadTransferee
  const own = hex(raft.id)
  const target = hex(transferee.id)
  if (previous === transferee.id) {
    raft.logger.info(
      () =>
        `${own} [term ${raft.term}] transfer leadership to ${target} is in progress, ignores request to same node ${target}`
    )
    return
  }
  if (previous !== NONE) {
    raft.leadTransferee = NONE
    raft.logger.info(
      () => `${own} [term ${raft.term}] abort previous transferring leadership to ${hex(previous)}`
    )
  }
  if (transferee.id === raft.id) {
    raft.logger.debug(() => `${own} is already leader. Ignored transferring leadership to self`)
    return
  }
  raft.logger.info(() => `${own} [term ${raft.term}] starts to transfer leadership to ${target}`)
  // The transfer has one election timeout to succeed; until then no proposal is accepted.
  raft.electionElapsed = 0
  raft.leadTransferee = transferee.id
  if (transferee.match === raft.log.lastIndex) {
    raft.send({ type: 'MsgTimeoutNow', to: transferee.id })
    raft.logger.info(
      () => `${own} sends MsgTimeoutNow to ${target} immediately as ${target} already has up-to-date log`
    )
  } else {
    sendAppend(raft, transferee, true)
  }
}

/** Lets the transferee campaign as soon as it has caught up. */
export function continueTransfer(raft: Raft, peer: Progress): void {
  if (peer.id !== raft.leadTransferee || peer.match !== raft.log.lastIndex) return
  raft.logger.info(() => `${hex(raft.id)} sent MsgTimeoutNow to ${hex(peer.id)} after received MsgAppResp`)
  raft.send({ type: 'MsgTimeoutNow', to: peer.id })
}
