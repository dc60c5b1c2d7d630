/** What has to be done now, put together from the state, and the storage messages of asynchronous writes. */
import type { Raft } from './raft.ts'
import type { Entry, HardState, Message, Snapshot } from './types.ts'
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NONE, makeMessage } from './types.ts'

/** What is to be made durable. */
export interface AppendWork {
  readonly hardState: HardState | undefined
  readonly entries: readonly Entry[]
  readonly snapshot: Snapshot | undefined
}

/** Whether the append thread has something to do, or answers to release after what it already does. */
export function needsAppend(raft: Raft, work: AppendWork): boolean {
  return (
    work.entries.length > 0 ||
    work.hardState !== undefined ||
    work.snapshot !== undefined ||
    raft.afterAppend.length > 0
  )
}

/**
 * The order to the append thread. The leader's acknowledgements to itself stand before the answer about durability, so
 * that they find the entries' terms in the unstable log.
 */
export function makeStorageAppend(raft: Raft, work: AppendWork): Message {
  const answer = makeAppendResponse(raft, work)
  return makeMessage({
    type: 'MsgStorageAppend',
    to: LOCAL_APPEND_THREAD,
    from: raft.id,
    entries: work.entries,
    term: work.hardState?.term ?? 0,
    vote: work.hardState?.vote ?? NONE,
    commit: work.hardState?.commit ?? 0,
    snapshot: work.snapshot,
    responses: answer === undefined ? raft.afterAppend : [...raft.afterAppend, answer]
  })
}

/**
 * What tells this node that its log is durable, if anything of it is not.
 *
 * It names the log's last (index, term) even when this write adds no entry, and the term it was ordered in. Entries can be
 * replaced by others and then by the first ones again while all these writes are under way; if the earliest write then
 * counted, reads would go to storage that still goes through the other two. So an answer from an earlier term is ignored,
 * and since every new term orders a write, a later one makes up for it.
 */
export function makeAppendResponse(raft: Raft, work: AppendWork): Message | undefined {
  const hasUnstable = raft.log.unstable.length > 0
  if (!hasUnstable && work.snapshot === undefined) return undefined
  return makeMessage({
    type: 'MsgStorageAppendResp',
    to: raft.id,
    from: LOCAL_APPEND_THREAD,
    term: raft.term,
    index: hasUnstable ? raft.log.lastIndex : 0,
    logTerm: hasUnstable ? raft.log.lastTerm : 0,
    snapshot: work.snapshot
  })
}

/** The order to the apply thread. */
export function makeStorageApply(raft: Raft, entries: readonly Entry[]): Message {
  return makeMessage({
    type: 'MsgStorageApply',
    to: LOCAL_APPLY_THREAD,
    from: raft.id,
    entries,
    responses: [makeApplyResponse(raft, entries)]
  })
}

/** What tells this node that entries are applied. Committed entries belong to no term. */
export function makeApplyResponse(raft: Raft, entries: readonly Entry[]): Message {
  return makeMessage({ type: 'MsgStorageApplyResp', to: raft.id, from: LOCAL_APPLY_THREAD, entries })
}
