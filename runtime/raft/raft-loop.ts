/**
 * The raft turn: the one place that orders persist → send → apply.
 *
 * Owns the Raft state machine, its in-memory log, the queue of committed entries, and the clock of ticks. Everything
 * else of the runtime hangs on its hooks. Knows entries as bytes; what they mean is `Applier`'s business.
 *
 * R1. One turn per macrotask: tick → inbound → ready → apply slice → proposals → ready → one frame per peer. Nothing is
 *     awaited within a turn, so no other code sees Raft between `ready` and the queueing of its work.
 * R2. Answers that depend on the disk leave only from the log's `onDurable`, in its order.
 * R3. Ticks that were missed while the process stood still count as one: a node that was away does not call an election
 *     for every beat it slept through.
 * R4. A snapshot is installed alone: storage work queues behind it, in order.
 */
import { nodeId, type NodeId } from '../../base/ids.ts'
import {
  decodeMessage,
  hardStateOf,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type BasicStatus,
  type ConfChange,
  type ConfState,
  type Entry,
  type Message,
  type RaftStatus,
  RawNode,
  refusePeerMessage,
  type Ready,
  type Snapshot,
  type StepResult
} from '../../consensus/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/log.ts'
import type { Timers } from '../ports/timers.ts'
import type { Channel, Transport } from '../ports/transport.ts'
import type { Wal } from '../wal/wal.ts'
import { decodeRaftFrame, type LeaseGrant, type LeaseRenewal } from '../messages.ts'
import type { RuntimeConfig } from '../config.ts'
import { ApplyQueue } from './apply-queue.ts'
import { Outbound } from './outbound.ts'
import type { MemoryStorage } from '../../consensus/index.ts'
import { raftOptions } from './raft-options.ts'

/** What the rest of the runtime does at each point of a turn. All are synchronous but `installSnapshot`. */
export interface RaftHooks {
  /** Once per tick, before anything else of the turn. */
  onTick(): void
  /** Committed entries, in order. A throw stops applying for good. */
  applyEntry(entry: Entry): void
  /** After the turn's slice of applying; time to propose. */
  afterApply(): void
  onApplyFailure(entry: Entry, error: unknown): void
  /** Leader or role changed. */
  onRoleChange(status: BasicStatus): void
  onReadState(index: number, context: Uint8Array): void
  /** Whether apply must wait for the write-behind. */
  holdApply(): boolean
  /** What to attach for this peer to a heartbeat response that leaves now. */
  renewalFor(to: NodeId): LeaseRenewal | undefined
  onRenewal(from: NodeId, renewal: LeaseRenewal): void
  onGrant(from: NodeId, grant: LeaseGrant): void
  /** Raft wants this follower to get a snapshot. */
  sendSnapshot(message: Message): void
  /** Makes a received snapshot the state; resolves when it is durable. The log is reset after it. */
  installSnapshot(snapshot: Snapshot): Promise<void>
  onFatal(error: unknown): void
}

export interface RaftLoopInput {
  readonly config: RuntimeConfig
  readonly clock: Clock
  readonly timers: Timers
  readonly transport: Transport
  readonly wal: Wal
  readonly log: MemoryStorage
  readonly logger: Logger
  readonly seed: number
  readonly applied: number
  readonly hooks: RaftHooks
}

/** Figures of the loop since its start. */
export interface LoopMetrics {
  turns: number
  longestTurnMs: number
  droppedFrames: number
}

export class RaftLoop {
  readonly metrics: LoopMetrics = { turns: 0, longestTurnMs: 0, droppedFrames: 0 }
  readonly #input: RaftLoopInput
  readonly #hooks: RaftHooks
  readonly #raw: RawNode
  readonly #outbound: Outbound
  readonly #applyQueue: ApplyQueue
  #inbox: Message[] = []
  /** Storage work that waits for a snapshot to be installed. */
  #storageBacklog: Message[] = []
  #installing = false
  #snapshotWaiters: (() => void)[] = []
  #tickDue = false
  #scheduled = false
  #stopped = false
  #cancelTick: () => void = () => undefined

  constructor(input: RaftLoopInput) {
    this.#input = input
    this.#hooks = input.hooks
    this.#raw = new RawNode(raftOptions(input))
    this.#outbound = new Outbound(input.transport, (peer) => {
      this.#raw.reportUnreachable(peer)
    })
    this.#applyQueue = new ApplyQueue({
      clock: input.clock,
      sliceMs: input.config.applySliceMs,
      apply: (entry) => {
        this.#hooks.applyEntry(entry)
      },
      onGroupDone: (responses) => {
        this.#deliver(responses)
      },
      hold: () => this.#hooks.holdApply(),
      onFailure: (entry, error) => {
        this.#hooks.onApplyFailure(entry, error)
      }
    })
  }

  get role(): RawNode['role'] {
    return this.#raw.role
  }

  get term(): number {
    return this.#raw.term
  }

  /** The known leader, or undefined. */
  get leader(): NodeId | undefined {
    return this.#raw.lead === 0 ? undefined : nodeId(this.#raw.lead)
  }

  get applyFailed(): boolean {
    return this.#applyQueue.failed
  }

  get lastIndex(): number {
    return this.#raw.lastIndex
  }

  get committed(): number {
    return this.#raw.committed
  }

  status(): RaftStatus {
    return this.#raw.status()
  }

  start(): void {
    this.#armTick()
    this.schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTick()
  }

  /** Asks for a turn in the next macrotask. */
  schedule(): void {
    if (this.#scheduled || this.#stopped) return
    this.#scheduled = true
    this.#input.timers.soon(() => {
      this.#turn()
    })
  }

  /** A frame from a member. */
  receive(from: NodeId, channel: Channel, bytes: Uint8Array): void {
    const frame = decodeRaftFrame(bytes)
    if (frame === undefined || channel === 'forward') {
      this.metrics.droppedFrames += 1
      return
    }
    for (const encoded of frame.messages) {
      const message = tryDecode(encoded)
      // The transport authenticated the sender: what a message says of it must agree.
      if (message === undefined || refusePeerMessage(message, from, this.#raw.id) !== undefined) {
        this.metrics.droppedFrames += 1
      } else {
        this.#inbox.push(message)
      }
    }
    if (frame.renewal !== undefined) this.#hooks.onRenewal(from, frame.renewal)
    if (frame.grant !== undefined) this.#hooks.onGrant(from, frame.grant)
    this.schedule()
  }

  /** Delivers a snapshot's message, whose rows have arrived. Resolves when they were installed or are not wanted. */
  injectSnapshot(message: Message): Promise<void> {
    this.#inbox.push(message)
    this.schedule()
    return new Promise((resolve) => this.#snapshotWaiters.push(resolve))
  }

  propose(data: Uint8Array): StepResult {
    const result = this.#raw.propose(data)
    this.schedule()
    return result
  }

  proposeConfChange(change: ConfChange): StepResult {
    const result = this.#raw.proposeConfChange(change)
    this.schedule()
    return result
  }

  /** Takes a committed membership change into effect; the caller refuses one by passing an empty change. */
  applyConfChange(change: ConfChange): ConfState {
    return this.#raw.applyConfChange(change)
  }

  readIndex(context: Uint8Array): StepResult {
    const result = this.#raw.readIndex(context)
    this.schedule()
    return result
  }

  transferLeader(to: NodeId): void {
    this.#raw.transferLeader(to)
    this.schedule()
  }

  reportSnapshot(to: NodeId, status: 'finished' | 'failed'): void {
    this.#raw.reportSnapshot(to, status)
    this.schedule()
  }

  grantLease(to: NodeId, grant: LeaseGrant): void {
    this.#outbound.grant(to, grant)
    this.schedule()
  }

  #armTick(): void {
    this.#cancelTick = this.#input.timers.after(this.#input.config.timing.tickMs, () => {
      this.#tickDue = true
      this.#armTick()
      this.schedule()
    })
  }

  #turn(): void {
    this.#scheduled = false
    if (this.#stopped) return
    const startedAt = this.#input.clock.monotonicNow()
    try {
      this.#tick()
      this.#stepInbox()
      this.#pump()
      this.#applyQueue.runSlice()
      this.#stepInbox()
      this.#hooks.afterApply()
      this.#pump()
      this.#outbound.flush()
    } catch (error) {
      this.stop()
      this.#hooks.onFatal(error)
      return
    }
    if (!this.#installing) this.#releaseSnapshotWaiters()
    this.metrics.turns += 1
    const tookMs = this.#input.clock.monotonicNow() - startedAt
    if (tookMs > this.metrics.longestTurnMs) this.metrics.longestTurnMs = tookMs
    if (this.#inbox.length > 0 || this.#applyQueue.runnable) this.schedule()
  }

  #tick(): void {
    if (!this.#tickDue) return
    this.#tickDue = false
    this.#input.wal.tick()
    this.#raw.tick()
    this.#hooks.onTick()
  }

  #stepInbox(): void {
    const inbox = this.#inbox
    if (inbox.length === 0) return
    this.#inbox = []
    for (const message of inbox) this.#raw.step(message)
  }

  #pump(): void {
    while (this.#raw.hasReady()) this.#handle(this.#raw.ready())
  }

  #handle(ready: Ready): void {
    if (ready.softState !== undefined) this.#hooks.onRoleChange(this.#raw.status())
    for (const { index, context } of ready.readStates) this.#hooks.onReadState(index, context)
    for (const message of ready.messages) this.#route(message)
  }

  #route(message: Message): void {
    if (message.to === LOCAL_APPEND_THREAD || message.to === LOCAL_APPLY_THREAD) {
      if (this.#installing) this.#storageBacklog.push(message)
      else this.#store(message)
    } else if (message.type === 'MsgSnap') {
      this.#hooks.sendSnapshot(message)
    } else {
      if (message.type === 'MsgHeartbeatResp') {
        const renewal = this.#hooks.renewalFor(nodeId(message.to))
        if (renewal !== undefined) this.#outbound.renew(nodeId(message.to), renewal)
      }
      this.#outbound.add(message)
    }
  }

  #store(message: Message): void {
    if (message.to === LOCAL_APPLY_THREAD) {
      this.#applyQueue.push(message.entries, message.responses)
      this.schedule()
      return
    }
    if (message.snapshot !== undefined) {
      this.#install(message, message.snapshot)
      return
    }
    const hardState = hardStateOf(message)
    this.#input.wal.append({ entries: message.entries, hardState }, () => {
      if (message.entries.length > 0) this.#input.log.append(message.entries)
      this.#deliver(message.responses)
      this.schedule()
    })
  }

  /** State first, log second: a crash between them leaves a state ahead of its log, which opening completes. */
  #install(message: Message, snapshot: Snapshot): void {
    this.#installing = true
    this.#applyQueue.clear()
    this.#hooks.installSnapshot(snapshot).then(
      () => {
        if (this.#stopped) return
        const append = { reset: snapshot, entries: message.entries, hardState: hardStateOf(message) }
        this.#input.wal.append(append, () => {
          this.#input.log.applySnapshot(snapshot)
          if (message.entries.length > 0) this.#input.log.append(message.entries)
          this.#deliver(message.responses)
          this.#resumeStorage()
          this.schedule()
        })
      },
      (error: unknown) => {
        this.stop()
        this.#hooks.onFatal(error)
      }
    )
  }

  #resumeStorage(): void {
    this.#installing = false
    const backlog = this.#storageBacklog
    this.#storageBacklog = []
    for (const message of backlog) this.#route(message)
  }

  #releaseSnapshotWaiters(): void {
    if (this.#snapshotWaiters.length === 0) return
    for (const resolve of this.#snapshotWaiters) resolve()
    this.#snapshotWaiters = []
  }

  #deliver(responses: readonly Message[]): void {
    for (const response of responses) {
      if (response.to === this.#raw.id) this.#inbox.push(response)
      else this.#outbound.add(response)
    }
  }
}

/** Bytes from the network that are no message are the sender's fault and not worth more than a count. */
function tryDecode(bytes: Uint8Array): Message | undefined {
  try {
    return decodeMessage(bytes)
  } catch {
    return undefined
  }
}
