/**
 * The data that crosses the border of the Raft core: log entries, messages, persistent state, membership, and what one
 * `ready()` hands out. Plain readonly values; entries and their bytes are shared, never copied and never changed.
 *
 * T1. Every id, term and index is a safe integer ≥ 0; 0 means "none" (no leader, no vote, an empty log).
 * T2. A `Message` always has all fields, so that every message has one hidden class; `makeMessage` fills the zeros.
 * T3. Ids in a `ConfState` are sorted.
 *
 * Names follow etcd-io/raft where a name exists there, so that its documentation applies.
 */

/** The absent peer: no leader, no vote. */
export const NONE = 0
/** The highest id that a peer may have; the two numbers above it address the local threads. */
export const MAX_PEER_ID = Number.MAX_SAFE_INTEGER - 2
/** Target of `MsgStorageAppend`: whoever makes log entries, hard state and snapshots durable on this node. */
export const LOCAL_APPEND_THREAD = Number.MAX_SAFE_INTEGER
/** Target of `MsgStorageApply`: whoever applies committed entries on this node. */
export const LOCAL_APPLY_THREAD = Number.MAX_SAFE_INTEGER - 1

/** What an entry carries: the user's bytes, or a membership change of the first or second form. */
export type EntryType = 'normal' | 'conf-change' | 'conf-change-v2'

/** One log entry. `data` is opaque to consensus unless the type says it is a configuration change. */
export interface Entry {
  readonly term: number
  readonly index: number
  readonly type: EntryType
  readonly data: Uint8Array
}

/** What must be on disk before an answer that depends on it leaves the node. */
export interface HardState {
  readonly term: number
  /** The peer voted for in `term`, or `NONE`. */
  readonly vote: number
  readonly commit: number
}

/** The four roles of a Raft peer. */
export type Role = 'follower' | 'candidate' | 'leader' | 'pre-candidate'

/** What is true now but is not persisted. */
export interface SoftState {
  readonly lead: number
  readonly role: Role
}

/** A membership: joint exactly while `votersOutgoing` is not empty. All lists are sorted. */
export interface ConfState {
  readonly voters: readonly number[]
  readonly learners: readonly number[]
  /** The voters of the configuration that is being left. */
  readonly votersOutgoing: readonly number[]
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[]
  /** Whether the leader leaves the joint configuration by itself as soon as it can. */
  readonly autoLeave: boolean
}

/** Where a snapshot stands in the log, and the membership at that point. */
export interface SnapshotMetadata {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
}

/** A snapshot as consensus sees it; `data` is opaque and small (the rows of a state stream apart). */
export interface Snapshot extends SnapshotMetadata {
  readonly data: Uint8Array
}

/** One step of a configuration change. `update-node` changes nothing but is logged. */
export type ConfChangeType = 'add-node' | 'remove-node' | 'update-node' | 'add-learner-node'

/** One peer's change within a configuration change. */
export interface ConfChangeSingle {
  readonly type: ConfChangeType
  /** The peer; 0 makes the step a no-op. */
  readonly nodeId: number
}

/** How a change enters joint consensus: only if it must (`auto`, left by itself), or always. */
export type ConfChangeTransition = 'auto' | 'joint-implicit' | 'joint-explicit'

/** The first form of a membership change: exactly one peer, never joint. */
interface ConfChangeV1 extends ConfChangeSingle {
  readonly version: 1
  readonly context: Uint8Array
}

/** The second form: any number of peers. Empty changes with `auto` leave a joint configuration. */
export interface ConfChangeV2 {
  readonly version: 2
  readonly transition: ConfChangeTransition
  readonly changes: readonly ConfChangeSingle[]
  readonly context: Uint8Array
}

/** A proposal to change the membership. */
export type ConfChange = ConfChangeV1 | ConfChangeV2

/** Every kind of message, named as in etcd-io/raft. */
export const MESSAGE_TYPES = [
  'MsgHup',
  'MsgBeat',
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgTransferLeader',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
  'MsgPreVote',
  'MsgPreVoteResp',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp',
  'MsgForgetLeader'
] as const

/** The kind of a message. */
export type MessageType = (typeof MESSAGE_TYPES)[number]

/**
 * A message between peers, or between a peer and its local storage threads. Fields that a kind does not use are zero,
 * empty, false or undefined.
 */
export interface Message {
  readonly type: MessageType
  readonly to: number
  readonly from: number
  /** The sender's term; 0 for local messages, proposals and read requests. */
  readonly term: number
  /** Term of the entry at `index` (append: the previous entry; vote: the candidate's last; storage: the last appended). */
  readonly logTerm: number
  readonly index: number
  readonly entries: readonly Entry[]
  readonly commit: number
  /** Only in `MsgStorageAppend`: the vote to persist beside `term` and `commit`. */
  readonly vote: number
  readonly snapshot: Snapshot | undefined
  readonly reject: boolean
  /** In a rejected append: the highest index at which the logs may agree. */
  readonly rejectHint: number
  /** Opaque bytes: the read round of a heartbeat, or the mark of a transfer's vote. */
  readonly context: Uint8Array | undefined
  /** Only in storage messages: what to deliver, in this order, once the work is durable (append) or done (apply). */
  readonly responses: readonly Message[]
}

/** A granted linearizable read: once the applied index reaches `index`, the state may be read. */
export interface ReadState {
  readonly index: number
  /** The bytes given to `readIndex`. */
  readonly context: Uint8Array
}

/** Everything that one `ready()` asks of its caller; see `RawNode.ready` for the order in which to do it. */
export interface Ready {
  /** Set when leader or role changed. */
  readonly softState: SoftState | undefined
  /** Set when term, vote or commit changed. */
  readonly hardState: HardState | undefined
  readonly readStates: readonly ReadState[]
  /** Entries to append to the log, replacing what stands at or above the first one's index. */
  readonly entries: readonly Entry[]
  /** A snapshot to install: the log up to it is replaced, and the state machine with it. */
  readonly snapshot: Snapshot | undefined
  readonly committedEntries: readonly Entry[]
  readonly messages: readonly Message[]
  /** Whether entries, term or vote changed, so that the write must reach the disk before anything depends on it; a snapshot must too. */
  readonly mustSync: boolean
}

/**
 * How a step ended. All but `ok`, `local-message` and `peer-not-found` mean that a proposal was dropped:
 * `no-leader` (none known), `not-forwarded` (this follower may not forward), `not-a-member` (the leader was removed),
 * `transferring` (leadership is being handed over), `overloaded` (too many uncommitted bytes).
 */
export type StepResult =
  | 'ok'
  | 'local-message'
  | 'peer-not-found'
  | 'no-leader'
  | 'not-forwarded'
  | 'not-a-member'
  | 'transferring'
  | 'overloaded'

/** Bytes of nothing; shared. */
export const NO_BYTES: Uint8Array = new Uint8Array(0)
/** No entries; shared. */
export const NO_ENTRIES: readonly Entry[] = []
/** No messages; shared. */
export const NO_MESSAGES: readonly Message[] = []

/** A message with every field; what `fields` does not name is zero. */
export function makeMessage(
  fields: Partial<Message> & Pick<Message, 'type' | 'to'>,
  from: number = fields.from ?? NONE,
  term: number = fields.term ?? 0
): Message {
  return {
    type: fields.type,
    to: fields.to,
    from,
    term,
    logTerm: fields.logTerm ?? 0,
    index: fields.index ?? 0,
    entries: fields.entries ?? NO_ENTRIES,
    commit: fields.commit ?? 0,
    vote: fields.vote ?? NONE,
    snapshot: fields.snapshot,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0,
    context: fields.context,
    responses: fields.responses ?? NO_MESSAGES
  }
}

/** The hard state that a `MsgStorageAppend` asks to persist, or undefined when it carries none. */
export function hardStateOf(append: Message): HardState | undefined {
  if (append.term === 0 && append.vote === NONE && append.commit === 0) return undefined
  return { term: append.term, vote: append.vote, commit: append.commit }
}

/** A membership of voters alone. */
export function confStateOf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return {
    voters: [...voters].sort(ascending),
    learners: [...learners].sort(ascending),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false
  }
}

/** Whether the message addresses or leaves one of the node's own storage threads. */
export function isLocalThread(id: number): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD
}

/** Compares ids for an ascending sort. */
export function ascending(a: number, b: number): number {
  return a - b
}
