/** One node of a script: a `RawNode`, its memory storage, its storage threads' queues and an "appender" state machine. */
import { createRng } from '../../base/prng.ts'
import { decodeConfChange } from '../../consensus/conf-change.ts'
import type { RaftConfig, RaftLogger } from '../../consensus/config.ts'
import { MemoryStorage } from '../../consensus/memory-storage.ts'
import { RawNode } from '../../consensus/raw-node.ts'
import type { ConfState, Entry, HardState, Message, Snapshot } from '../../consensus/types.ts'
import { CommandError } from './output.ts'

/** What `add-nodes` sets of a node's configuration. */
export type NodeOptions = Omit<Partial<RaftConfig>, 'id' | 'storage' | 'rng' | 'logger'>

const ELECTION_TICKS = 3
const HEARTBEAT_TICKS = 1

/** A node under test. */
export class InteractionNode {
  readonly raw: RawNode
  readonly storage: MemoryStorage
  readonly electionTicks = ELECTION_TICKS
  readonly heartbeatTicks = HEARTBEAT_TICKS
  readonly asyncStorageWrites: boolean
  readonly appendWork: Message[] = []
  readonly applyWork: Message[] = []
  /** The state after every applied entry; its last is the snapshot that the node sends. */
  private readonly history: Snapshot[]

  constructor(id: number, options: NodeOptions, initial: Snapshot, logger: RaftLogger) {
    this.history = [initial]
    this.asyncStorageWrites = options.asyncStorageWrites ?? false
    this.storage = new MemoryStorage({ snapshotSource: () => this.latestSnapshot })
    if (initial.index > 0) this.storage.applySnapshot(initial)
    this.raw = new RawNode({
      maxInflightMessages: Infinity,
      ...options,
      id,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      storage: this.storage,
      rng: createRng(id),
      logger
    })
  }

  get id(): number {
    return this.raw.id
  }

  get latestSnapshot(): Snapshot {
    const last = this.history.at(-1)
    if (last === undefined) throw new CommandError('a node has no state')
    return last
  }

  /** Makes a write durable. */
  append(hardState: HardState | undefined, entries: readonly Entry[], snapshot: Snapshot | undefined): void {
    if (hardState !== undefined) this.storage.setHardState(hardState)
    if (snapshot === undefined) {
      this.storage.append(entries)
      return
    }
    if (entries.length > 0) throw new CommandError("can't apply snapshot and entries at the same time")
    if (this.storage.applySnapshot(snapshot) !== 'ok') {
      throw new CommandError('requested index is older than the existing snapshot')
    }
  }

  /** Applies committed entries: their data is appended to the state. */
  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const previous = this.latestSnapshot
      let update = entry.data
      let confState: ConfState = previous.confState
      if (entry.type !== 'normal') {
        const change = decodeConfChange(entry)
        update = change.context
        confState = this.raw.applyConfChange(change)
      }
      const data = new Uint8Array([...previous.data, ...update])
      this.history.push({ index: entry.index, term: entry.term, confState, data })
    }
  }
}
