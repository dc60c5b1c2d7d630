/**
 * One Raft peer for tests: a `RawNode` over memory storage whose ready work is done at once, with the messages it sends
 * collected instead of delivered.
 */
import { createRng } from '../../base/prng.ts'
import type { ConfState, Entry, Message, RaftConfig, ReadState } from '../../consensus/index.ts'
import { MemoryStorage, RawNode, confStateOf, decodeConfChange, makeMessage } from '../../consensus/index.ts'
import type { MemoryStorageInit } from '../../consensus/index.ts'

/** What a test sets of a peer. */
export interface PeerOptions extends Omit<Partial<RaftConfig>, 'storage' | 'rng'> {
  /** Default: 1, 2, 3. */
  readonly voters?: readonly number[]
  readonly storage?: MemoryStorageInit
  readonly seed?: number
}

/** A peer whose storage is as fast as memory. */
export class TestPeer {
  readonly storage: MemoryStorage
  raw: RawNode
  /** Entries applied, in order. */
  readonly applied: Entry[] = []
  readonly readStates: ReadState[] = []
  private readonly options: PeerOptions
  private confState: ConfState

  constructor(options: PeerOptions = {}) {
    this.options = options
    this.confState = options.storage?.confState ?? confStateOf(options.voters ?? [1, 2, 3])
    this.storage = new MemoryStorage({ ...options.storage, confState: this.confState })
    this.raw = this.start(options.applied ?? 0)
  }

  get id(): number {
    return this.raw.id
  }

  /** The entries in storage, as `[term, index]`. */
  get log(): readonly (readonly [term: number, index: number])[] {
    const entries = this.storage.entries(this.storage.firstIndex(), this.storage.lastIndex() + 1, Infinity)
    return typeof entries === 'string' ? [] : entries.map(({ term, index }) => [term, index] as const)
  }

  /** Does all that `ready()` asks for until there is nothing left, and returns what was to be sent. */
  drain(): Message[] {
    const sent: Message[] = []
    while (this.raw.hasReady()) sent.push(...this.handleReady())
    return sent
  }

  /** Handles one `ready()`. */
  handleReady(): readonly Message[] {
    const ready = this.raw.ready()
    if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState)
    if (ready.snapshot !== undefined) this.storage.applySnapshot(ready.snapshot)
    this.storage.append(ready.entries)
    for (const entry of ready.committedEntries) {
      this.applied.push(entry)
      if (entry.type !== 'normal') this.confState = this.raw.applyConfChange(decodeConfChange(entry))
    }
    this.readStates.push(...ready.readStates)
    this.raw.advance()
    return ready.messages
  }

  /** Steps messages and returns what is sent because of them. */
  receive(...messages: readonly Message[]): Message[] {
    for (const message of messages) this.raw.step(message)
    return this.drain()
  }

  /** Lets `count` ticks pass and returns what is sent because of them. */
  tick(count = 1): Message[] {
    for (let i = 0; i < count; i++) this.raw.tick()
    return this.drain()
  }

  /** Loses all that is not in storage. */
  restart(): void {
    this.raw = this.start(0)
    this.applied.length = 0
  }

  private start(applied: number): RawNode {
    return new RawNode({
      id: 1,
      electionTicks: 10,
      heartbeatTicks: 1,
      ...this.options,
      applied,
      storage: this.storage,
      rng: createRng(this.options.seed ?? this.options.id ?? 1)
    })
  }
}

/** A message from a peer to peer 1. */
export function from(sender: number, fields: Partial<Message> & Pick<Message, 'type'>): Message {
  return makeMessage({ to: 1, ...fields, from: sender })
}

/** Entries with these terms from `firstIndex` on. */
export function entriesOf(terms: readonly number[], firstIndex = 1): Entry[] {
  return terms.map((term, at) => ({
    term,
    index: firstIndex + at,
    type: 'normal',
    data: new TextEncoder().encode(`${term}/${firstIndex + at}`)
  }))
}

/** Peer 1 of three as the leader of `term`, with its empty entry sent to nobody yet. */
export function leaderOf(term: number, options: PeerOptions = {}): TestPeer {
  const terms = options.storage?.entries?.at(-1)?.term ?? 0
  const peer = new TestPeer({
    ...options,
    storage: { hardState: { term: Math.max(term - 1, terms), vote: 0, commit: 0 }, ...options.storage }
  })
  peer.raw.campaign()
  peer.drain()
  for (const voter of options.voters ?? [2, 3]) {
    if (voter !== 1) peer.raw.step(from(voter, { type: 'MsgVoteResp', term: peer.raw.term }))
  }
  return peer
}
