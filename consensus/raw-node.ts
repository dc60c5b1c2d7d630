/**
 * One Raft peer as a pure state machine: `tick`, `step` and the proposals change it, `ready` says what must be done.
 *
 * Synchronous storage: while `hasReady()`, take `ready()`, persist hardState, entries and snapshot (synced when
 * `mustSync`), send messages, apply snapshot and committedEntries, then call `advance()`.
 *
 * Asynchronous storage (`asyncStorageWrites`): send every message at once. `MsgStorageAppend` (to LOCAL_APPEND_THREAD)
 * and `MsgStorageApply` (to LOCAL_APPLY_THREAD) go to the local threads, each in order; when its work is durable (append)
 * or done (apply), deliver its `responses` in order: those addressed to this id back through `step`, others to the
 * network. A `MsgStorageAppend` without responses need not be synced. `advance` is not used. Hard state and entries of one
 * append are written together: a membership change is only safe if the commit index it was proposed on is durable with it.
 * A snapshot may arrive while older entries wait for the apply thread, which must skip them from then on, as their
 * membership changes are part of the snapshot (`pendingSnapshot`); their responses may be delivered or dropped.
 *
 * N1. `ready()` hands everything out once; what it handed out is never changed afterwards.
 * N2. With synchronous storage there is an `advance()` between two `ready()`.
 */
import { invariant } from '../base/invariant.ts'
import { encodeConfChange } from './conf-change.ts'
import type { RaftConfig } from './config.ts'
import { resolveConfig } from './config.ts'
import { describeConfState, hex } from './describe.ts'
import { entriesSize } from './entry-size.ts'
import { applyConfChange, loadMembership } from './membership.ts'
import { Raft } from './raft.ts'
import type { AppendWork } from './ready.ts'
import {
  makeAppendResponse,
  makeApplyResponse,
  makeStorageAppend,
  makeStorageApply,
  needsAppend
} from './ready.ts'
import { becomeFollower } from './roles.ts'
import type { BasicStatus, RaftStatus } from './status.ts'
import { step } from './step.ts'
import { tick } from './tick.ts'
import { toConfState } from './tracker/tracker.ts'
import type {
  ConfChange,
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  MessageType,
  Ready,
  Role,
  SoftState,
  StepResult
} from './types.ts'
import { NONE, isLocalThread, makeMessage } from './types.ts'

/** Messages that only this node itself may bring about. */
const LOCAL_TYPES: ReadonlySet<MessageType> = new Set<MessageType>([
  'MsgHup',
  'MsgBeat',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp'
])
/** Answers, which only members may give. */
const RESPONSE_TYPES: ReadonlySet<MessageType> = new Set<MessageType>([
  'MsgAppResp',
  'MsgVoteResp',
  'MsgHeartbeatResp',
  'MsgUnreachable',
  'MsgReadIndexResp',
  'MsgPreVoteResp',
  'MsgStorageAppendResp',
  'MsgStorageApplyResp'
])

/** One Raft peer. */
export class RawNode {
  private readonly raft: Raft
  private readonly async: boolean
  private previousSoft: SoftState
  private previousHard: HardState
  /** With synchronous storage: what `advance` has to take note of. */
  private stepsOnAdvance: Message[] = []

  /** Starts from what the storage holds. Throws `InvariantError` on an impossible configuration or storage. */
  constructor(config: RaftConfig) {
    const resolved = resolveConfig(config)
    const raft = new Raft(resolved)
    this.raft = raft
    this.async = resolved.asyncStorageWrites
    const { hardState, confState } = resolved.storage.initialState()
    loadMembership(raft, confState)
    const restored = describeConfState(toConfState(raft.tracker.membership))
    invariant(restored === describeConfState(confState), () => `the stored membership became ${restored}`)
    restorePositions(raft, hardState, resolved.applied)
    becomeFollower(raft, raft.term, NONE)
    const { log, term } = raft
    raft.logger.info(
      () =>
        `newRaft ${hex(raft.id)} [peers: [${raft.tracker.voterIds().map(hex).join(',')}], term: ${term}, commit: ${log.committed}, ` +
        `applied: ${log.applied}, lastindex: ${log.lastIndex}, lastterm: ${log.lastTerm}]`
    )
    this.previousSoft = { lead: raft.lead, role: raft.role }
    this.previousHard = raft.hardState()
  }

  get id(): number {
    return this.raft.id
  }

  get term(): number {
    return this.raft.term
  }

  get role(): Role {
    return this.raft.role
  }

  /** The known leader, or NONE. */
  get lead(): number {
    return this.raft.lead
  }

  get committed(): number {
    return this.raft.log.committed
  }

  /** The highest index that was acknowledged as applied. */
  get applied(): number {
    return this.raft.log.applied
  }

  /** Index of the snapshot that waits to be installed, or 0. Entries up to it must not be applied any more. */
  get pendingSnapshot(): number {
    return this.raft.log.unstable.snapshot?.index ?? 0
  }

  /** The last index of the log, durable or not: after an `ok` proposal on the leader, that proposal's index. */
  get lastIndex(): number {
    return this.raft.log.lastIndex
  }

  /** The term of the entry at `index`, or undefined where the log has none (any more). */
  termAt(index: number): number | undefined {
    const term = this.raft.log.term(index)
    return typeof term === 'number' ? term : undefined
  }

  /** Advances logical time by one tick. */
  tick(): void {
    tick(this.raft)
  }

  /** Starts an election now (with PreVote when configured). */
  campaign(): StepResult {
    return step(this.raft, makeMessage({ type: 'MsgHup', to: this.id }))
  }

  /** Proposes one entry. The bytes are kept, not copied. */
  propose(data: Uint8Array): StepResult {
    return this.proposeEntry('normal', data)
  }

  /** Proposes a membership change; one that is not allowed now becomes an empty entry. */
  proposeConfChange(change: ConfChange): StepResult {
    const { type, data } = encodeConfChange(change)
    return this.proposeEntry(type, data)
  }

  /**
   * Takes a committed membership change into effect; call it when applying such an entry, unless it is refused. Must not
   * be called for entries that `pendingSnapshot` supersedes: the membership in force is the snapshot's already.
   */
  applyConfChange(change: ConfChange): ConfState {
    const pending = this.pendingSnapshot
    invariant(pending === 0, () => `a change was applied while snapshot ${pending} waits to be installed`)
    return applyConfChange(this.raft, change)
  }

  /** Takes a message from a peer or from a local storage thread. */
  step(message: Message): StepResult {
    const local = isLocalThread(message.from)
    if (!local && LOCAL_TYPES.has(message.type)) return 'local-message'
    if (!local && RESPONSE_TYPES.has(message.type) && this.raft.tracker.get(message.from) === undefined) {
      return 'peer-not-found'
    }
    return step(this.raft, message)
  }

  /** Asks for a linearizable read; the answer appears in a later `readStates` with the same bytes, or never. */
  readIndex(context: Uint8Array): StepResult {
    const entries: readonly Entry[] = [{ term: 0, index: 0, type: 'normal', data: context }]
    return step(this.raft, makeMessage({ type: 'MsgReadIndex', to: this.id, entries }))
  }

  /** Hands leadership to a voter; works on the leader and, forwarded, on a follower. */
  transferLeader(transferee: number): void {
    step(this.raft, makeMessage({ type: 'MsgTransferLeader', to: this.id, from: transferee }))
  }

  /** Makes a follower forget its leader, so that it may grant votes before its timeout. */
  forgetLeader(): StepResult {
    return step(this.raft, makeMessage({ type: 'MsgForgetLeader', to: this.id }))
  }

  /** The last message to this peer was not delivered. */
  reportUnreachable(id: number): void {
    step(this.raft, makeMessage({ type: 'MsgUnreachable', to: this.id, from: id }))
  }

  /** A snapshot sent to this peer was installed, or failed. */
  reportSnapshot(id: number, status: 'finished' | 'failed'): void {
    const reject = status === 'failed'
    step(this.raft, makeMessage({ type: 'MsgSnapStatus', to: this.id, from: id, reject }))
  }

  /** Replaces the drawn election timeout until the next change of role; for tests that need a certain one. */
  setRandomizedElectionTicks(ticks: number): void {
    this.raft.randomizedElectionTicks = ticks
  }

  /** Whether `ready()` would hand out anything. */
  hasReady(): boolean {
    const { raft } = this
    return (
      raft.messages.length > 0 ||
      raft.afterAppend.length > 0 ||
      raft.log.unstable.hasNextEntries ||
      raft.log.hasNextCommitted(!this.async) ||
      raft.readStates.length > 0 ||
      this.softStateChanged() ||
      this.hardStateChanged() ||
      raft.log.unstable.nextSnapshot() !== undefined
    )
  }

  /** Everything to be done now; the caller must do it. */
  ready(): Ready {
    const { raft } = this
    invariant(this.stepsOnAdvance.length === 0, 'two ready() without an advance() between them')
    const work: AppendWork = {
      hardState: this.hardStateChanged() ? raft.hardState() : undefined,
      entries: raft.log.unstable.nextEntries(),
      snapshot: raft.log.unstable.nextSnapshot()
    }
    const committedEntries = raft.log.nextCommitted(!this.async)
    const ready: Ready = {
      softState: this.softStateChanged() ? { lead: raft.lead, role: raft.role } : undefined,
      hardState: work.hardState,
      readStates: raft.readStates,
      entries: work.entries,
      snapshot: work.snapshot,
      committedEntries,
      messages: this.async
        ? this.asyncMessages(work, committedEntries)
        : this.syncMessages(work, committedEntries),
      mustSync:
        work.entries.length > 0 ||
        raft.term !== this.previousHard.term ||
        raft.vote !== this.previousHard.vote
    }
    this.accept(ready)
    return ready
  }

  /** Synchronous storage only: the last `ready()` was handled in full. */
  advance(): void {
    invariant(!this.async, 'advance() must not be used with asynchronous storage writes')
    const steps = this.stepsOnAdvance
    this.stepsOnAdvance = []
    for (const message of steps) step(this.raft, message)
  }

  status(): RaftStatus {
    const { raft } = this
    return {
      ...this.basicStatus(),
      confState: toConfState(raft.tracker.membership),
      progress: raft.role === 'leader' ? raft.tracker.peers.map((peer) => peer.status()) : []
    }
  }

  basicStatus(): BasicStatus {
    const { raft } = this
    return {
      id: raft.id,
      hardState: raft.hardState(),
      lead: raft.lead,
      role: raft.role,
      applied: raft.log.applied,
      leadTransferee: raft.leadTransferee
    }
  }

  private proposeEntry(type: EntryType, data: Uint8Array): StepResult {
    const entries: readonly Entry[] = [{ term: 0, index: 0, type, data }]
    return step(this.raft, makeMessage({ type: 'MsgProp', to: this.id, from: this.id, entries }))
  }

  private softStateChanged(): boolean {
    return this.raft.lead !== this.previousSoft.lead || this.raft.role !== this.previousSoft.role
  }

  private hardStateChanged(): boolean {
    const { term, vote, log } = this.raft
    const previous = this.previousHard
    return term !== previous.term || vote !== previous.vote || log.committed !== previous.commit
  }

  /** What may go at once, and the orders to the storage threads, which carry all that must wait. */
  private asyncMessages(work: AppendWork, committed: readonly Entry[]): readonly Message[] {
    const { raft } = this
    const messages = raft.messages
    if (needsAppend(raft, work)) messages.push(makeStorageAppend(raft, work))
    if (committed.length > 0) messages.push(makeStorageApply(raft, committed))
    return messages
  }

  /** Everything to send after the write; what is for this node itself waits for `advance`. */
  private syncMessages(work: AppendWork, committed: readonly Entry[]): readonly Message[] {
    const { raft } = this
    const messages = raft.messages
    for (const message of raft.afterAppend) {
      if (message.to === raft.id) this.stepsOnAdvance.push(message)
      else messages.push(message)
    }
    const answer = makeAppendResponse(raft, work)
    if (answer !== undefined) this.stepsOnAdvance.push(answer)
    if (committed.length > 0) this.stepsOnAdvance.push(makeApplyResponse(raft, committed))
    return messages
  }

  private accept(ready: Ready): void {
    const { raft } = this
    if (ready.softState !== undefined) this.previousSoft = ready.softState
    if (ready.hardState !== undefined) this.previousHard = ready.hardState
    if (ready.readStates.length > 0) raft.readStates = []
    raft.messages = []
    raft.afterAppend = []
    raft.log.unstable.acceptInProgress()
    const last = ready.committedEntries.at(-1)
    if (last !== undefined) {
      raft.log.acceptApplying(last.index, entriesSize(ready.committedEntries), !this.async)
    }
  }
}

/**
 * The hard state of a commit may reach the disk later than the effects of applying it, so what is compacted or applied
 * counts as committed whatever the hard state says.
 */
function restorePositions(raft: Raft, hardState: HardState, applied: number): void {
  raft.term = hardState.term
  raft.vote = hardState.vote
  raft.log.restoreCommit(Math.max(hardState.commit, applied, raft.log.committed))
  if (applied > 0) raft.log.appliedTo(applied, 0)
}
