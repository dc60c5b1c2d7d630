/** How a leader appends to its log, feeds it to its followers, and learns what is committed. Raft paper §5.3, §7. */
import { invariant } from '../base/invariant.ts'
import { describeProgress, hex } from './describe.ts'
import { payloadsSize } from './entry-size.ts'
import type { Raft } from './raft.ts'
import type { Progress } from './tracker/progress.ts'
import type { Entry } from './types.ts'

/**
 * Appends proposed entries to the leader's log under its term, and acknowledges them to itself once they are durable.
 * False, and nothing done, when they would exceed the bound on uncommitted bytes.
 */
export function appendEntries(raft: Raft, proposed: readonly Pick<Entry, 'type' | 'data'>[]): boolean {
  if (!growUncommitted(raft, payloadsSize(proposed))) {
    raft.logger.warning(
      () =>
        `${hex(raft.id)} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`
    )
    return false
  }
  let index = raft.log.lastIndex
  const entries = proposed.map(({ type, data }): Entry => ({ term: raft.term, index: ++index, type, data }))
  raft.log.append(entries)
  raft.send({ type: 'MsgAppResp', to: raft.id, index })
  return true
}

/** Takes note that entries with these payload bytes were applied. */
export function shrinkUncommitted(raft: Raft, applied: readonly Entry[]): void {
  if (raft.uncommittedBytes === 0) return
  raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - payloadsSize(applied))
}

/** Sends every follower what it lacks, or at least the commit index. */
export function broadcastAppend(raft: Raft): void {
  for (const peer of raft.tracker.peers) {
    if (peer.id !== raft.id) sendAppend(raft, peer, true)
  }
}

/** Sends every follower entries that it lacks; nothing to those who lack none. */
export function broadcastNewEntries(raft: Raft): void {
  for (const peer of raft.tracker.peers) {
    if (peer.id !== raft.id) sendAppend(raft, peer, false)
  }
}

/**
 * Sends one append (or a snapshot, if the log no longer reaches back far enough) unless the peer is paused. Without
 * `evenIfEmpty`, only an append with entries. Returns whether a message was sent.
 */
export function sendAppend(raft: Raft, peer: Progress, evenIfEmpty: boolean): boolean {
  if (peer.paused) return false
  const prevIndex = peer.next - 1
  const prevTerm = raft.log.term(prevIndex)
  if (typeof prevTerm === 'string') return sendSnapshot(raft, peer)

  // A throttled stream still gets empty appends: if all its messages were lost, one of these is acknowledged or
  // rejected in the end, and that clears the window.
  const throttled = peer.state === 'replicate' && peer.inflights.full
  const entries = throttled ? [] : raft.log.entries(peer.next, raft.config.maxMessageBytes)
  if (entries.length === 0 && !evenIfEmpty) return false
  if (typeof entries === 'string') return sendSnapshot(raft, peer)

  const commit = raft.log.committed
  raft.send({ type: 'MsgApp', to: peer.id, index: prevIndex, logTerm: prevTerm, entries, commit })
  peer.sentEntries(entries.length, payloadsSize(entries))
  peer.sentCommit = commit
  return true
}

/** Sends every follower a heartbeat, which carries the latest waiting read. */
export function broadcastHeartbeat(raft: Raft): void {
  const context = raft.reads.context()
  for (const peer of raft.tracker.peers) {
    if (peer.id === raft.id) continue
    // Only what the follower is known to have may be announced as committed to it.
    const commit = Math.min(peer.match, raft.log.committed)
    raft.send({ type: 'MsgHeartbeat', to: peer.id, commit, context })
    peer.sentCommit = commit
  }
}

/** Advances the commit index to what a quorum has, if that is of this term. Returns whether it moved. */
export function maybeCommit(raft: Raft): boolean {
  const committed = raft.tracker.committed()
  // Without any voter there is no quorum, and nothing can be committed.
  return Number.isFinite(committed) && raft.log.maybeCommit(committed, raft.term)
}

function sendSnapshot(raft: Raft, peer: Progress): boolean {
  if (!peer.recentActive) {
    raft.logger.debug(() => `ignore sending snapshot to ${hex(peer.id)} since it is not recently active`)
    return false
  }
  const snapshot = raft.log.snapshot()
  if (snapshot === 'temporarily-unavailable') {
    raft.logger.debug(
      () =>
        `${hex(raft.id)} failed to send snapshot to ${hex(peer.id)} because snapshot is temporarily unavailable`
    )
    return false
  }
  invariant(snapshot.index > 0, 'a snapshot to send must not be empty')
  raft.logger.debug(
    () =>
      `${hex(raft.id)} [firstindex: ${raft.log.firstIndex}, commit: ${raft.log.committed}] sent ` +
      `snapshot[index: ${snapshot.index}, term: ${snapshot.term}] to ${hex(peer.id)} [${describeProgress(peer.status())}]`
  )
  peer.becomeSnapshot(snapshot.index)
  raft.logger.debug(
    () =>
      `${hex(raft.id)} paused sending replication messages to ${hex(peer.id)} [${describeProgress(peer.status())}]`
  )
  raft.send({ type: 'MsgSnap', to: peer.id, snapshot })
  return true
}

/** A single proposal of any size is let in when nothing is uncommitted; one without payload always is. */
function growUncommitted(raft: Raft, bytes: number): boolean {
  const total = raft.uncommittedBytes + bytes
  if (raft.uncommittedBytes > 0 && bytes > 0 && total > raft.config.maxUncommittedBytes) return false
  raft.uncommittedBytes = total
  return true
}
