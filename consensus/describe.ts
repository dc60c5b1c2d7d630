/**
 * One-line descriptions of everything in consensus, in the exact form of etcd-io/raft, which the conformance scripts
 * require. For logs, tests and people; never on a hot path.
 */
import { decodeConfChange, toV2 } from './conf-change.ts'
import { quoteBytes } from './quote.ts'
import type { ProgressStatus } from './status.ts'
import type { Membership } from './tracker/tracker.ts'
import type {
  ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  Ready,
  ReadState,
  Role,
  SnapshotMetadata,
  SoftState
} from './types.ts'
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NONE } from './types.ts'

const ROLE_NAMES: Readonly<Record<Role, string>> = {
  follower: 'StateFollower',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
  'pre-candidate': 'StatePreCandidate'
}
const ENTRY_NAMES: Readonly<Record<EntryType, string>> = {
  normal: 'EntryNormal',
  'conf-change': 'EntryConfChange',
  'conf-change-v2': 'EntryConfChangeV2'
}
const PROGRESS_NAMES = {
  probe: 'StateProbe',
  replicate: 'StateReplicate',
  snapshot: 'StateSnapshot'
} as const
const CHANGE_NAMES: Readonly<Record<ConfChangeType, string>> = {
  'add-node': 'ConfChangeAddNode',
  'remove-node': 'ConfChangeRemoveNode',
  'update-node': 'ConfChangeUpdateNode',
  'add-learner-node': 'ConfChangeAddLearnerNode'
}
const CHANGE_LETTERS: Readonly<Record<ConfChangeType, string>> = {
  'add-node': 'v',
  'remove-node': 'r',
  'update-node': 'u',
  'add-learner-node': 'l'
}
const TRANSITION_NAMES: Readonly<Record<ConfChangeTransition, string>> = {
  auto: 'ConfChangeTransitionAuto',
  'joint-implicit': 'ConfChangeTransitionJointImplicit',
  'joint-explicit': 'ConfChangeTransitionJointExplicit'
}

/** An id as log lines print it. */
export function hex(id: number): string {
  return id.toString(16)
}

export function describeRole(role: Role): string {
  return ROLE_NAMES[role]
}

function describeHardState(state: HardState): string {
  const vote = state.vote === NONE ? '' : ` Vote:${state.vote}`
  return `Term:${state.term}${vote} Commit:${state.commit}`
}

function describeSoftState(state: SoftState): string {
  return `Lead:${state.lead} State:${describeRole(state.role)}`
}

export function describeConfState(state: ConfState): string {
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} Learners:${list(state.learners)} ` +
    `LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  )
}

/** A membership in the form of log lines about snapshots. */
export function describeConfStateFields(state: ConfState): string {
  const fields = [
    ...state.voters.map((id) => `voters:${id}`),
    ...state.learners.map((id) => `learners:${id}`),
    ...state.votersOutgoing.map((id) => `voters_outgoing:${id}`),
    ...state.learnersNext.map((id) => `learners_next:${id}`),
    `auto_leave:${state.autoLeave}`
  ]
  return fields.join(' ')
}

function describeSnapshot(snapshot: SnapshotMetadata): string {
  return `Index:${snapshot.index} Term:${snapshot.term} ConfState:${describeConfState(snapshot.confState)}`
}

/** `term/index type data`. */
function describeEntry(entry: Entry): string {
  const content = describeContent(entry)
  return `${entry.term}/${entry.index} ${ENTRY_NAMES[entry.type]}${content === '' ? '' : ` ${content}`}`
}

/** A line per entry. */
export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join('')
}

/** A message, over several lines when it carries several entries, a snapshot or responses. */
export function describeMessage(message: Message, indent = ''): string {
  let text = `${indent}${describeTarget(message.from)}->${describeTarget(message.to)} ${message.type} Term:${message.term}`
  text += ` Log:${message.logTerm}/${message.index}`
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`
  if (message.commit !== 0) text += ` Commit:${message.commit}`
  if (message.vote !== NONE) text += ` Vote:${message.vote}`
  const [first, ...others] = message.entries
  if (first !== undefined) {
    text +=
      others.length === 0
        ? ` Entries:[${describeEntry(first)}]`
        : ` Entries:[${message.entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`).join('')}\n${indent}]`
  }
  if (message.snapshot !== undefined) text += `\n${indent}  Snapshot: ${describeSnapshot(message.snapshot)}`
  if (message.responses.length > 0) {
    const responses = message.responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`)
    text += ` Responses:[${responses.join('')}\n${indent}]`
  }
  return text
}

/** Everything that one `ready()` asks for. */
export function describeReady(ready: Ready): string {
  let text = ''
  if (ready.softState !== undefined) text += `${describeSoftState(ready.softState)}\n`
  if (ready.hardState !== undefined) text += `HardState ${describeHardState(ready.hardState)}\n`
  if (ready.readStates.length > 0) {
    text += `ReadStates [${ready.readStates.map(describeReadState).join(' ')}]\n`
  }
  if (ready.entries.length > 0) text += `Entries:\n${describeEntries(ready.entries)}`
  if (ready.snapshot !== undefined) text += `Snapshot ${describeSnapshot(ready.snapshot)}\n`
  if (ready.committedEntries.length > 0) {
    text += `CommittedEntries:\n${describeEntries(ready.committedEntries)}`
  }
  if (ready.messages.length > 0) {
    text += `Messages:\n${ready.messages.map((message) => `${describeMessage(message)}\n`).join('')}`
  }
  return text === '' ? '<empty Ready>' : `Ready MustSync=${ready.mustSync}:\n${text}`
}

/** `StateReplicate match=3 next=4 …`. */
export function describeProgress(peer: ProgressStatus): string {
  let text = `${PROGRESS_NAMES[peer.state]} match=${peer.match} next=${peer.next}`
  if (peer.isLearner) text += ' learner'
  if (peer.paused) text += ' paused'
  if (peer.pendingSnapshot > 0) text += ` pendingSnap=${peer.pendingSnapshot}`
  if (!peer.recentActive) text += ' inactive'
  if (peer.inflightMessages > 0)
    text += ` inflight=${peer.inflightMessages}${peer.inflightFull ? '[full]' : ''}`
  return text
}

/** A line per peer, in the given order. */
export function describePeers(peers: readonly ProgressStatus[]): string {
  return peers.map((peer) => `${peer.id}: ${describeProgress(peer)}\n`).join('')
}

/** `voters=(1 2)&&(1) learners=(3) autoleave`. */
export function describeMembership(membership: Membership): string {
  const { voters, learners, learnersNext, autoLeave } = membership
  let text = `voters=${group(voters.incoming)}`
  if (voters.outgoing.length > 0) text += `&&${group(voters.outgoing)}`
  if (learners.length > 0) text += ` learners=${group(learners)}`
  if (learnersNext.length > 0) text += ` learners_next=${group(learnersNext)}`
  if (autoLeave) text += ' autoleave'
  return text
}

/** The change that an entry carries, field by field; empty when it has no bytes. */
export function describeConfChangeFields(entry: Pick<Entry, 'type' | 'data'>): string {
  if (entry.data.length === 0) return ''
  const change = decodeConfChange(entry)
  const context = change.context.length === 0 ? '' : ` context:${quoteBytes(change.context)}`
  if (change.version === 1) return `${singleFields(change)}${context}`
  const changes = change.changes.map((single) => ` changes:{${singleFields(single)}}`)
  return `transition:${TRANSITION_NAMES[change.transition]}${changes.join('')}${context}`
}

/** `v1 l2 r3 u4`. */
function describeChanges(changes: readonly ConfChangeSingle[]): string {
  return changes.map((change) => `${CHANGE_LETTERS[change.type]}${change.nodeId}`).join(' ')
}

function describeContent(entry: Entry): string {
  if (entry.type === 'normal') return quoteBytes(entry.data)
  return describeChanges(toV2(decodeConfChange(entry)).changes)
}

function describeReadState(state: ReadState): string {
  return `{${state.index} ${list([...state.context])}}`
}

function describeTarget(id: number): string {
  switch (id) {
    case NONE:
      return 'None'
    case LOCAL_APPEND_THREAD:
      return 'AppendThread'
    case LOCAL_APPLY_THREAD:
      return 'ApplyThread'
    default:
      return hex(id)
  }
}

function singleFields(change: ConfChangeSingle): string {
  return `type:${CHANGE_NAMES[change.type]} node_id:${change.nodeId}`
}

function list(values: readonly number[]): string {
  return `[${values.join(' ')}]`
}

function group(ids: readonly number[]): string {
  return `(${ids.join(' ')})`
}
