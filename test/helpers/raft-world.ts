/**
 * A random but repeatable world of Raft peers with asynchronous storage, and the judge of Raft's safety properties. After
 * every step:
 * - election safety: a term has at most one leader;
 * - state machine safety: no two peers ever apply different entries at an index, whatever crashed in between;
 * - leader completeness: a leader has every entry that was committed in an earlier term;
 * - linearizable reads: a read sees everything that anybody had applied when it was asked for;
 * and, at the end and at elections, log matching: logs that agree in (index, term) agree in all before it.
 */
import type { Rng } from '../../base/prng.ts'
import { createRng } from '../../base/prng.ts'
import type { ConfChange, Entry, Message, SnapshotMetadata } from '../../consensus/index.ts'
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryStorage,
  NO_BYTES,
  RawNode,
  confStateOf,
  decodeConfChange,
  decodeMessage,
  encodeMessage
} from '../../consensus/index.ts'
import { hardStateOf } from '../../consensus/types.ts'

const PEERS = 5
const FIRST_VOTERS = [1, 2, 3]
const MAX_MESSAGES = 400

/** One peer with its disk and its storage threads' queues. */
interface WorldPeer {
  readonly id: number
  readonly storage: MemoryStorage
  raw: RawNode
  /** Work that a crash loses. */
  appendWork: Message[]
  applyWork: Message[]
  /** The state machine: the place and the membership after the last applied entry. */
  applied: SnapshotMetadata
  /** The state machine as the disk has it. */
  saved: SnapshotMetadata
}

/** What was first applied at an index, and a term by which it was committed. */
interface Committed {
  readonly entry: Entry
  readonly byTerm: number
}

/** A group, its network, and everything that it ever committed. */
export class RaftWorld {
  steps = 0
  membershipChanges = 0
  snapshotsInstalled = 0
  readsAnswered = 0
  private readonly rng: Rng
  private readonly peers: WorldPeer[] = []
  private network: Message[] = []
  private readonly leaderOfTerm = new Map<number, number>()
  private readonly history = new Map<number, Committed>()
  private cut = new Set<number>()
  private proposals = 0
  /** The highest index that anybody had applied when each read was asked for. */
  private readonly reads: number[] = []
  private highestApplied = 0

  constructor(seed: number) {
    this.rng = createRng(seed)
    for (let id = 1; id <= PEERS; id++) this.peers.push(this.createPeer(id))
  }

  /** Terms that had a leader. */
  get ledTerms(): number {
    return this.leaderOfTerm.size
  }

  /** Entries that were applied by anybody. */
  get committed(): number {
    return this.history.size
  }

  /** Takes random steps. Throws when a property breaks. */
  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.steps++
      this.randomStep()
    }
    this.checkLogMatching()
  }

  /** Ends all faults. True when the group comes to one leader and equal logs in time. */
  heal(): boolean {
    this.cut.clear()
    for (const { raw } of this.peers) {
      for (let id = 1; id <= PEERS; id++) raw.reportSnapshot(id, 'failed')
    }
    for (let round = 0; round < 400; round++) {
      for (const peer of this.peers) peer.raw.tick()
      for (let pass = 0; pass < 6; pass++) this.workAll()
      if (round > 60 && this.converged()) return true
    }
    return false
  }

  private createPeer(id: number): WorldPeer {
    const isFounder = FIRST_VOTERS.includes(id)
    const confState = confStateOf(isFounder ? FIRST_VOTERS : [])
    // The first membership stands before the log and not in it, so whoever joins gets it by a snapshot.
    const applied: SnapshotMetadata = isFounder
      ? { index: 1, term: 1, confState }
      : { index: 0, term: 0, confState }
    const storage = new MemoryStorage({
      confState,
      compacted: applied,
      snapshotSource: () => ({ ...this.peer(id).applied, data: NO_BYTES })
    })
    const raw = this.createRaw(id, storage, applied.index)
    return { id, storage, raw, appendWork: [], applyWork: [], applied, saved: applied }
  }

  private createRaw(id: number, storage: MemoryStorage, applied: number): RawNode {
    return new RawNode({
      id,
      storage,
      applied,
      electionTicks: 6,
      heartbeatTicks: 1,
      rng: this.rng.fork(),
      asyncStorageWrites: true,
      preVote: true,
      checkQuorum: true,
      maxMessageBytes: 200,
      maxInflightMessages: 4,
      maxApplyingBytes: 300
    })
  }

  private randomStep(): void {
    const peer = this.pickPeer()
    const roll = this.rng.nextInt(1_000)
    if (roll < 400) this.deliverOne()
    else if (roll < 600) this.handleReady(this.pickPeer(({ raw }) => raw.hasReady()))
    else if (roll < 730) this.appendOne(this.pickPeer(({ appendWork }) => appendWork.length > 0))
    else if (roll < 800) this.applyOne(this.pickPeer(({ applyWork }) => applyWork.length > 0))
    else if (roll < 880) this.tickAll()
    else if (roll < 930) this.propose()
    else if (roll < 940) this.proposeChange()
    else if (roll < 945) this.readOnAll()
    else if (roll < 960) this.compact(peer)
    else if (roll < 970) this.crash(peer)
    else if (roll < 980) this.cutOff()
    else if (roll < 985) peer.raw.campaign()
    else if (roll < 990) peer.raw.transferLeader(this.pickPeer().id)
    else if (roll < 995) peer.raw.reportUnreachable(this.pickPeer().id)
    else peer.raw.reportSnapshot(this.pickPeer().id, this.rng.nextInt(2) === 0 ? 'finished' : 'failed')
    this.checkLeaders()
  }

  /** A random peer, of those that are wanted if there are any. */
  private pickPeer(wanted: (peer: WorldPeer) => boolean = () => true): WorldPeer {
    const some = this.peers.filter(wanted)
    const from = some.length > 0 ? some : this.peers
    return this.peer(from[this.rng.nextInt(from.length)]?.id ?? 1)
  }

  /** Clocks run at about the same rate. */
  private tickAll(): void {
    for (const { raw } of this.peers) if (this.rng.nextInt(4) > 0) raw.tick()
  }

  private peer(id: number): WorldPeer {
    const peer = this.peers[id - 1]
    if (peer === undefined) throw new Error(`there is no peer ${id}`)
    return peer
  }

  /** A random message, most often an old one; some are lost and some arrive twice. */
  private deliverOne(): void {
    if (this.network.length === 0) return
    const at = this.rng.nextInt(
      this.rng.nextInt(4) === 0 ? this.network.length : Math.min(4, this.network.length)
    )
    const message = this.network[at]
    if (message === undefined) return
    const fate = this.rng.nextInt(100)
    if (fate >= 5) this.network.splice(at, 1)
    if (fate >= 95 || this.cut.has(message.from) !== this.cut.has(message.to)) return
    this.peer(message.to).raw.step(decodeMessage(encodeMessage(message)))
  }

  private handleReady(peer: WorldPeer): void {
    if (!peer.raw.hasReady()) return
    const { readStates, messages } = peer.raw.ready()
    for (const { index, context } of readStates) this.checkRead(index, context)
    for (const message of messages) {
      if (message.to === LOCAL_APPEND_THREAD) peer.appendWork.push(message)
      else if (message.to === LOCAL_APPLY_THREAD) peer.applyWork.push(message)
      else this.send(message)
    }
  }

  /** On every peer, so that one which does not know yet that it was deposed is among them. */
  private readOnAll(): void {
    this.reads.push(this.highestApplied)
    const context = new TextEncoder().encode(String(this.reads.length - 1))
    for (const { raw } of this.peers) raw.readIndex(context)
  }

  private checkRead(index: number, context: Uint8Array): void {
    const asked = this.reads[Number(new TextDecoder().decode(context))] ?? Infinity
    if (index < asked) throw new Error(`linearizable reads: a read at ${index} was asked for at ${asked}`)
    this.readsAnswered++
  }

  private send(message: Message): void {
    if (this.network.length >= MAX_MESSAGES) this.network.splice(this.rng.nextInt(MAX_MESSAGES), 1)
    this.network.push(message)
  }

  /** Makes the oldest write durable, then releases what waited for it. */
  private appendOne(peer: WorldPeer): void {
    const work = peer.appendWork.shift()
    if (work === undefined) return
    const hardState = hardStateOf(work)
    if (hardState !== undefined) peer.storage.setHardState(hardState)
    if (work.snapshot !== undefined && peer.storage.applySnapshot(work.snapshot) === 'ok') {
      this.snapshotsInstalled++
      peer.applied = work.snapshot
      peer.saved = work.snapshot
    }
    peer.storage.append(work.entries)
    this.release(peer, work)
  }

  private applyOne(peer: WorldPeer): void {
    const work = peer.applyWork.shift()
    if (work === undefined) return
    for (const entry of work.entries) this.apply(peer, entry)
    this.release(peer, work)
  }

  private release(peer: WorldPeer, work: Message): void {
    for (const response of work.responses) {
      if (response.to === peer.id) peer.raw.step(response)
      else this.send(response)
    }
  }

  /** Applies one entry, and holds it against what others applied at its index. */
  private apply(peer: WorldPeer, entry: Entry): void {
    // A snapshot may have arrived, or be installed already, while these entries waited for the apply thread.
    if (entry.index <= Math.max(peer.applied.index, peer.raw.pendingSnapshot)) return
    if (entry.index !== peer.applied.index + 1) {
      throw new Error(`peer ${peer.id} applies ${entry.index} after ${peer.applied.index}`)
    }
    const known = this.history.get(entry.index)
    if (known === undefined) {
      this.highestApplied = Math.max(this.highestApplied, entry.index)
      this.history.set(entry.index, { entry, byTerm: peer.raw.term })
      if (entry.type !== 'normal') this.membershipChanges++
    } else if (!sameEntry(known.entry, entry)) {
      throw new Error(`state machine safety: two entries were applied at ${entry.index}`)
    }
    const confState =
      entry.type === 'normal' ? peer.applied.confState : peer.raw.applyConfChange(decodeConfChange(entry))
    peer.applied = { index: entry.index, term: entry.term, confState }
  }

  private propose(): void {
    const leader = this.peers.find(({ raw }) => raw.role === 'leader') ?? this.pickPeer()
    leader.raw.propose(new TextEncoder().encode(`p${++this.proposals}`))
  }

  /** Peer 1 always stays a voter, so that no change can remove them all. */
  private proposeChange(): void {
    const type = (['add-node', 'remove-node', 'add-learner-node'] as const)[this.rng.nextInt(3)] ?? 'add-node'
    const first = { type, nodeId: 2 + this.rng.nextInt(PEERS - 1) }
    const second = { type: 'add-node' as const, nodeId: 2 + this.rng.nextInt(PEERS - 1) }
    const kind = this.rng.nextInt(3)
    let change: ConfChange = { version: 1, ...first, context: NO_BYTES }
    if (kind === 1) change = { version: 2, transition: 'auto', changes: [first, second], context: NO_BYTES }
    if (kind === 2) {
      change = { version: 2, transition: 'joint-implicit', changes: [first], context: NO_BYTES }
    }
    for (const { raw } of this.peers) if (raw.role === 'leader') raw.proposeConfChange(change)
  }

  /** Saves the applied state and drops the log below it. */
  private compact(peer: WorldPeer): void {
    const { index, confState } = peer.applied
    if (index > peer.storage.lastIndex()) return
    peer.storage.createSnapshot(index, confState, NO_BYTES)
    peer.saved = peer.applied
    peer.storage.compact(index)
  }

  /** Everything is lost but the disk; the state machine goes on from where it was saved. */
  private crash(peer: WorldPeer): void {
    peer.appendWork = []
    peer.applyWork = []
    peer.applied = peer.saved
    peer.raw = this.createRaw(peer.id, peer.storage, peer.saved.index)
  }

  private cutOff(): void {
    this.cut = new Set()
    if (this.rng.nextInt(2) === 0) return
    for (let id = 1; id <= PEERS; id++) if (this.rng.nextInt(3) === 0) this.cut.add(id)
  }

  private workAll(): void {
    for (const peer of this.peers) {
      this.handleReady(peer)
      while (peer.appendWork.length > 0) this.appendOne(peer)
      while (peer.applyWork.length > 0) this.applyOne(peer)
    }
    const arriving = this.network
    this.network = []
    for (const message of arriving) {
      this.peer(message.to).raw.step(message)
      if (message.type === 'MsgSnap') this.peer(message.from).raw.reportSnapshot(message.to, 'finished')
    }
    this.checkLeaders()
  }

  /** One leader, whose voters have all that it has. */
  private converged(): boolean {
    const leaders = this.peers.filter(({ raw }) => raw.role === 'leader')
    const [leader] = leaders
    if (leader === undefined || leaders.length > 1) return false
    const voters = this.peers.filter(({ id }) => leader.applied.confState.voters.includes(id))
    return (
      leader.applied.confState.votersOutgoing.length === 0 &&
      voters.every(
        ({ raw, applied }) => raw.term === leader.raw.term && applied.index === leader.raw.lastIndex
      )
    )
  }

  private checkLeaders(): void {
    for (const { id, raw } of this.peers) {
      if (raw.role !== 'leader') continue
      const known = this.leaderOfTerm.get(raw.term)
      if (known !== undefined && known !== id) {
        throw new Error(`election safety: ${known} and ${id} both lead term ${raw.term}`)
      }
      if (known !== undefined) continue
      this.leaderOfTerm.set(raw.term, id)
      this.checkLeaderCompleteness(id)
      this.checkLogMatching()
    }
  }

  private checkLeaderCompleteness(id: number): void {
    const { raw } = this.peer(id)
    for (const { entry, byTerm } of this.history.values()) {
      if (byTerm >= raw.term) continue
      const term = raw.termAt(entry.index)
      if (term === undefined ? entry.index > raw.lastIndex : term !== entry.term) {
        throw new Error(`leader completeness: leader ${id} of term ${raw.term} lacks entry ${entry.index}`)
      }
    }
  }

  private checkLogMatching(): void {
    for (const a of this.peers) {
      for (const b of this.peers) {
        if (a.id < b.id) checkMatching(a.raw, b.raw)
      }
    }
  }
}

/** From the highest place where both agree downwards, they must agree everywhere. */
function checkMatching(a: RawNode, b: RawNode): void {
  let agreed = false
  for (let index = Math.min(a.lastIndex, b.lastIndex); index > 0; index--) {
    const [ours, theirs] = [a.termAt(index), b.termAt(index)]
    if (ours === undefined || theirs === undefined) return
    if (ours === theirs) agreed = true
    else if (agreed)
      throw new Error(`log matching: ${a.id} and ${b.id} differ at ${index} but agree after it`)
  }
}

function sameEntry(a: Entry, b: Entry): boolean {
  return (
    a.term === b.term &&
    a.type === b.type &&
    a.data.length === b.data.length &&
    a.data.every((byte, at) => byte === b.data[at])
  )
}
