/**
 * One node of the cluster over its ports: the same code runs in production and under the simulator.
 *
 * Owns the wiring of the parts and the order in which they hear of things; each part owns its own rules. The hooks of a
 * raft turn run in the order in which `RaftHooks` lists them.
 */
import { AppError, toAppError } from '../base/errors.ts'
import { incarnation, nodeId, type NodeId, type TaskId } from '../base/ids.ts'
import { createRng } from '../base/prng.ts'
import type { Entry, Message, RaftStatus, Snapshot } from '../consensus/index.ts'
import { decodeProposals, encodeProposals } from '../scheduler/codec.ts'
import type { SchedulerEvent } from '../scheduler/events.ts'
import type { PolicyFactory } from '../scheduler/policy.ts'
import type { Proposal } from '../scheduler/proposals.ts'
import { stateChecksum } from '../scheduler/records.ts'
import type { SchedulerState } from '../scheduler/state.ts'
import type { HistoryRow, NodeOffer, OutcomeValue } from '../scheduler/types.ts'
import { checkRuntimeConfig, type RuntimeConfig } from './config.ts'
import { AttemptLogs, type LogChunk, type LogPosition } from './execution/attempt-logs.ts'
import { IncarnationKeeper } from './execution/incarnation-keeper.ts'
import { prepareAttempt, readBlob } from './execution/prepare.ts'
import { Reconciler } from './execution/reconciler.ts'
import { TaskWaiters } from './execution/task-waiters.ts'
import { LEASE_CONTEXT, Leadership, successor } from './leader/leadership.ts'
import { LeaseHolder } from './leases/lease-holder.ts'
import { AddressBook } from './membership/address-book.ts'
import { PeerDesk } from './membership/peer-desk.ts'
import {
  decodeForwardFrame,
  encodeForwardFrame,
  type LeaseGrant,
  type LeaseRenewal,
  type ProposalRefusal
} from './messages.ts'
import type { RuntimePorts } from './ports/index.ts'
import type { Channel, PeerAddress } from './ports/transport.ts'
import { Forwarder, type Draft } from './proposals/forwarder.ts'
import { READ_CONTEXT, ReadGate } from './proposals/read-gate.ts'
import { RaftLoop, type LoopMetrics, type RaftHooks } from './raft/raft-loop.ts'
import { Applier } from './storage/applier.ts'
import { Compactor } from './storage/compactor.ts'
import { Materializer } from './storage/materializer.ts'
import { LOCAL_STORE, openLog, positionSnapshot, STATE_STORE, type OpenedLog } from './storage/open-log.ts'
import { openState } from './storage/open-state.ts'
import { INCOMING_STORE, SnapshotReceiver, SnapshotSender } from './storage/snapshots.ts'

export interface RuntimeOptions {
  readonly ports: RuntimePorts
  readonly config: RuntimeConfig
  /** Path of the data folder on the disk port. */
  readonly folder: string
  readonly segmentBytes?: number
  /** Policies beyond the built-in ones. */
  readonly policies?: ReadonlyMap<string, PolicyFactory>
  /** Members that a contact named when this node joined. */
  readonly initialPeers?: readonly PeerAddress[]
  /** Something failed that the node must not survive. Called once; the process stops. */
  readonly onFatal: (error: AppError) => void
  /** Every applied entry's events, after the runtime's own parts have heard them. */
  readonly onEvents?: (events: readonly SchedulerEvent[], index: number) => void
}

/** How long a proposal or report waits before it is sent again. */
const RESEND_MS = 1_000

export class NodeRuntime {
  readonly nodeId: NodeId
  readonly logs: AttemptLogs
  readonly #options: RuntimeOptions
  readonly #loop: RaftLoop
  readonly #opened: OpenedLog
  readonly #materializer: Materializer
  readonly #applier: Applier
  readonly #compactor: Compactor
  readonly #leadership: Leadership
  readonly #forwarder: Forwarder
  readonly #reads: ReadGate
  readonly #lease = new LeaseHolder()
  readonly #reconciler: Reconciler
  readonly #keeper: IncarnationKeeper
  readonly #waiters: TaskWaiters
  readonly #book: AddressBook
  readonly #desk: PeerDesk
  readonly #sender: SnapshotSender
  readonly #receiver: SnapshotReceiver
  #phase: 'opened' | 'running' | 'stopping' | 'stopped' = 'opened'

  /** Opens the node's data; rejects with a coded error when it is damaged, foreign or of another version. */
  static async open(options: RuntimeOptions): Promise<NodeRuntime> {
    const { config, ports } = options
    checkRuntimeConfig(config)
    let runtime: NodeRuntime | undefined
    const opened = await openLog({
      ...ports,
      config,
      folder: options.folder,
      ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
      walEvents: {
        onFailure: (error) => {
          runtime?.fail(error)
        },
        onFull: (full) => {
          runtime?.diskFull(full)
        }
      },
      snapshotSource: () => runtime?.snapshotPosition() ?? 'temporarily-unavailable'
    })
    const local = await ports.stores.open(LOCAL_STORE)
    runtime = new NodeRuntime(options, opened, new AttemptLogs(local))
    return runtime
  }

  private constructor(options: RuntimeOptions, opened: OpenedLog, logs: AttemptLogs) {
    const { config, ports } = options
    this.#options = options
    this.#opened = opened
    this.nodeId = config.nodeId
    this.logs = logs
    this.#materializer = new Materializer(
      {
        clock: ports.clock,
        flushMs: config.flushMs,
        maxPendingBytes: config.maxPendingStoreBytes,
        onFailure: (error) => {
          this.fail(error)
        },
        onFlushed: () => {
          this.#compactor.poll()
          this.#loop.schedule()
        }
      },
      opened.store,
      opened.state,
      opened.position
    )
    this.#loop = new RaftLoop({
      ...ports,
      config,
      wal: opened.wal,
      log: opened.log,
      seed: ports.entropy.uint32(),
      applied: opened.position.index,
      hooks: this.#hooks()
    })
    this.#compactor = new Compactor(
      {
        wal: opened.wal,
        log: opened.log,
        compactBytes: config.compactBytes,
        durable: () => this.#materializer.durable,
        raft: () => this.#loop.status(),
        logger: ports.logger,
        onFailure: (error) => {
          this.fail(toAppError(error))
        }
      },
      opened.position
    )
    this.#applier = new Applier({
      state: opened.state,
      materializer: this.#materializer,
      compactor: this.#compactor,
      logger: ports.logger,
      applyConfChange: (change) => this.#loop.applyConfChange(change),
      onApplied: (entry, events) => {
        this.#applied(entry, events)
      }
    })
    this.#reads = new ReadGate(
      { clock: ports.clock, readIndex: (context) => this.#loop.readIndex(context), retryMs: RESEND_MS },
      opened.position.index
    )
    this.#forwarder = new Forwarder({
      nodeId: config.nodeId,
      clock: ports.clock,
      resendMs: RESEND_MS,
      send: (to, proposals) => {
        this.#sendProposals(to, proposals)
      }
    })
    this.#waiters = new TaskWaiters(ports.timers)
    this.#book = new AddressBook(ports.transport, config.nodeId)
    this.#book.begin(options.initialPeers ?? [])
    this.#leadership = this.#makeLeadership()
    this.#reconciler = this.#makeReconciler()
    this.#keeper = this.#makeKeeper()
    this.#desk = new PeerDesk({
      config,
      logs,
      book: this.#book,
      transport: ports.transport,
      state: () => this.state,
      register: (peer, addresses, zone) => {
        this.#notify({ type: 'register-node', peerId: peer, addresses, zone })
      },
      after: (milliseconds) =>
        new Promise((resolve) => {
          ports.timers.after(milliseconds, resolve)
        })
    })
    this.#sender = new SnapshotSender({
      transport: ports.transport,
      logger: ports.logger,
      store: () => this.#materializer.store,
      report: (to, status) => {
        this.#loop.reportSnapshot(to, status)
      }
    })
    this.#receiver = new SnapshotReceiver({
      stores: ports.stores,
      logger: ports.logger,
      accept: (message) => this.#loop.injectSnapshot(message)
    })
  }

  /** Starts the transport's handlers, the attempt host and the turns. */
  async start(): Promise<void> {
    const { ports, config } = this.#options
    ports.transport.identify({ clusterId: config.clusterId, nodeId: config.nodeId })
    await ports.host.start({
      onStarted: (token, startedAt) => {
        this.#reconciler.started(token, startedAt)
      },
      onOutput: (token, stream, bytes) => {
        const attempt = this.#reconciler.attemptOf(token)
        if (attempt === undefined) return
        this.logs.append(attempt.taskId, attempt.attempt, stream, ports.clock.wallNow(), bytes)
      },
      onExit: (exit) => {
        const attempt = this.#reconciler.attemptOf(exit.token)
        if (attempt !== undefined) this.logs.ended(attempt.taskId, attempt.attempt)
        this.#reconciler.exited(exit)
        this.#loop.schedule()
      },
      onLost: (error) => {
        this.fail(new AppError('INTERNAL', 'the supervisor process is gone', { cause: error }))
      }
    })
    await ports.transport.start({
      onFrame: (from, channel, frame) => {
        this.#frame(from, channel, frame)
      },
      onConnection: (peer, connected) => {
        ports.logger.debug({ peer, connected }, 'peer connection changed')
      },
      onRequest: (from, member, request) => this.#desk.answer(from, member, request),
      onSnapshot: (from, header, chunks) => this.#receiver.receive(from, header, chunks)
    })
    this.#book.update(this.state.nodes)
    this.#phase = 'running'
    this.#loop.start()
    this.#keeper.start()
    this.#desk.greet()
  }

  /**
   * Stops in order: hands leadership over, ends this node's attempts, tells the log, makes the state durable. Within
   * `timeoutMs` where others are needed; without them it stops all the same, and the cluster learns by its lease.
   */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#phase !== 'running') return
    this.#phase = 'stopping'
    const { ports } = this.#options
    const deadline = ports.clock.monotonicNow() + timeoutMs
    await this.#keeper.stop()
    this.#loop.schedule()
    await this.#until(() => this.state.nodes.get(this.nodeId)?.open !== true, deadline)
    const heir = this.#leadership.reigning ? successor(this.#loop.status()) : undefined
    if (heir !== undefined) {
      this.#loop.transferLeader(heir)
      await this.#until(() => this.#loop.role !== 'leader', deadline)
    }
    this.#forwarder.close('SHUTTING_DOWN', 'the node is stopping')
    this.#reads.close()
    this.#waiters.releaseAll()
    this.#loop.stop()
    this.#phase = 'stopped'
    await ports.transport.stop()
    await ports.host.close()
    await this.#materializer.flush()
    const store = await this.#materializer.detach()
    await store.close()
    await this.logs.close()
    await this.#opened.wal.close()
  }

  get state(): SchedulerState {
    return this.#applier.state
  }

  get phase(): 'opened' | 'running' | 'stopping' | 'stopped' {
    return this.#phase
  }

  get appliedIndex(): number {
    return this.#materializer.position.index
  }

  get leader(): NodeId | undefined {
    return this.#loop.leader
  }

  get reigning(): boolean {
    return this.#leadership.reigning
  }

  /** Whether the log knows this node's incarnation, so that it can propose. */
  get open(): boolean {
    return this.#keeper.phase === 'open'
  }

  get metrics(): LoopMetrics & { readonly running: number; readonly outstanding: number } {
    return {
      ...this.#loop.metrics,
      running: this.#reconciler.running,
      outstanding: this.#forwarder.outstanding
    }
  }

  walMetrics(): ReturnType<OpenedLog['wal']['metrics']> {
    return this.#opened.wal.metrics()
  }

  raftStatus(): RaftStatus {
    return this.#loop.status()
  }

  /** Milliseconds left of a node's lease in the leader's view; undefined elsewhere. */
  leaseRemainingMs(node: NodeId): number | undefined {
    return this.#leadership.leaseRemainingMs(node)
  }

  /** The state's checksum and the index that it stands for; makes the state durable first. */
  async checksum(): Promise<{ readonly index: number; readonly checksum: string }> {
    await this.#materializer.flush()
    return { index: this.#materializer.durable.index, checksum: stateChecksum(this.state) }
  }

  /** Proposes; resolves with the outcome once this node has applied it. */
  propose(draft: Draft, timeoutMs: number): Promise<OutcomeValue> {
    if (this.#phase !== 'running') return Promise.reject(stopping())
    const outcome = this.#forwarder.propose(draft, timeoutMs)
    this.#loop.schedule()
    return outcome
  }

  /** Resolves when local reads see everything that was acknowledged anywhere before the call. */
  readBarrier(timeoutMs: number): Promise<void> {
    if (this.#phase !== 'running') return Promise.reject(stopping())
    const barrier = this.#reads.barrier(timeoutMs)
    this.#loop.schedule()
    return barrier
  }

  waitApplied(index: number, timeoutMs: number): Promise<boolean> {
    return this.#reads.waitApplied(index, timeoutMs)
  }

  /** Resolves when the task has ended, the time is over or the signal is aborted. */
  waitTask(id: TaskId, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (!this.state.tasks.has(id)) return Promise.resolve()
    return this.#waiters.wait(id, timeoutMs, signal)
  }

  history(id: TaskId): Promise<HistoryRow | undefined> {
    return this.#materializer.history(id)
  }

  /** The bytes of an ended task's result. */
  async result(row: HistoryRow): Promise<Uint8Array> {
    return await readBlob(this.#materializer, row.id, 'result', row.result)
  }

  /** Rows of the state store, for listings. Rows of the last moments may still be on their way. */
  get store(): Materializer['store'] {
    return this.#materializer.store
  }

  /** Makes everything applied so far readable in `store`. */
  flush(): Promise<void> {
    return this.#materializer.flush()
  }

  /** A task's output from every member that has any, in order. */
  readLogs(task: TaskId, after: LogPosition, maxBytes: number): Promise<LogChunk[]> {
    return this.#desk.readLogs(task, after, maxBytes)
  }

  transferLeader(to: NodeId): void {
    this.#loop.transferLeader(to)
  }

  /** What Raft is told when a follower needs a snapshot. */
  snapshotPosition(): Snapshot {
    return positionSnapshot(this.#materializer.durable)
  }

  fail(error: AppError): void {
    if (this.#phase === 'stopped') return
    this.#phase = 'stopped'
    this.#loop.stop()
    this.#options.ports.logger.error({ code: error.code, error: error.message }, 'the node stops')
    this.#options.onFatal(error)
  }

  /** The log has no room for another segment: somebody else should lead until it has. */
  diskFull(full: boolean): void {
    this.#options.ports.logger.error({ full }, full ? 'the disk is full' : 'the disk has room again')
    const heir = full && this.#leadership.reigning ? successor(this.#loop.status()) : undefined
    if (heir !== undefined) this.#loop.transferLeader(heir)
  }

  #hooks(): RaftHooks {
    const { config, ports } = this.#options
    const renewEveryMs = config.timing.leaseMs / RENEWALS_PER_LEASE
    const renewal = (): LeaseRenewal | undefined =>
      this.#lease.renewal(ports.clock.monotonicNow(), ports.clock.wallNow(), this.appliedIndex, renewEveryMs)
    return {
      onTick: () => {
        this.#tick(renewal)
      },
      applyEntry: (entry) => {
        this.#applier.apply(entry)
      },
      afterApply: () => {
        this.#materializer.poll()
        this.#reads.flush()
        this.#forwarder.flush()
        this.#leadership.collect()
      },
      onApplyFailure: (entry, error) => {
        const { index } = entry
        ports.logger.error(
          { index, error: String(error) },
          'applying an entry failed; this node applies no further'
        )
      },
      onRoleChange: () => {
        this.#leadership.roleChanged()
        this.#forwarder.setLeader(this.#loop.leader)
      },
      onReadState: (index, context) => {
        if (context[0] === READ_CONTEXT) this.#reads.confirmed(index, context)
        else if (context[0] === LEASE_CONTEXT) this.#leadership.roundConfirmed(context)
      },
      holdApply: () => this.#materializer.full,
      renewalFor: (to) => (to === this.#loop.leader ? renewal() : undefined),
      onRenewal: (from, asked) => {
        this.#leadership.renewal(from, asked)
      },
      onGrant: (from, grant) => {
        if (from === this.#loop.leader) this.#granted(grant)
      },
      sendSnapshot: (message: Message) => {
        this.#sender.send(nodeId(message.to), message)
      },
      installSnapshot: (snapshot) => this.#install(snapshot),
      onFatal: (error) => {
        this.fail(toAppError(error))
      }
    }
  }

  #makeLeadership(): Leadership {
    const { config, ports, policies } = this.#options
    return new Leadership({
      nodeId: config.nodeId,
      config,
      clock: ports.clock,
      logger: ports.logger,
      rng: createRng(ports.entropy.uint32()),
      policies: policies ?? new Map(),
      raft: () => this.#loop,
      state: () => this.state,
      appliedIndex: () => this.appliedIndex,
      storeFull: () => this.#materializer.full,
      refuse: (to, refusal) => {
        this.#refuse(to, refusal)
      },
      onOwnGrant: (grant) => {
        this.#granted(grant)
      }
    })
  }

  #makeReconciler(): Reconciler {
    const { config, ports } = this.#options
    return new Reconciler(
      {
        nodeId: config.nodeId,
        clock: ports.clock,
        logger: ports.logger,
        host: ports.host,
        lazyStartMs: config.lazyStartMs,
        resendMs: RESEND_MS,
        leaseValid: () => this.#lease.valid(ports.clock.monotonicNow()),
        prepare: (task, placement) => prepareAttempt(this.#materializer, task, placement),
        notify: (proposal) => {
          this.#notify(proposal)
        }
      },
      this.state
    )
  }

  #makeKeeper(): IncarnationKeeper {
    const { config, ports } = this.#options
    return new IncarnationKeeper(
      {
        nodeId: config.nodeId,
        peerId: config.peerId,
        clock: ports.clock,
        logger: ports.logger,
        host: ports.host,
        lease: this.#lease,
        resendMs: RESEND_MS,
        offer: () => this.#offer(),
        outbox: () => this.#reconciler.outbox(),
        record: (number, onDurable) => {
          this.#opened.wal.recordIncarnation(number, onDurable)
        },
        notify: (proposal) => {
          this.#notify(proposal)
        },
        onOpened: (number) => {
          this.#forwarder.openIncarnation(number)
          this.#reconciler.open(number)
        },
        onClosed: () => {
          this.#reconciler.close()
        },
        onFatal: (error) => {
          this.fail(error)
        }
      },
      this.state,
      incarnation(this.#opened.incarnation)
    )
  }

  #offer(): NodeOffer {
    const { config, ports } = this.#options
    const { executors, handlers } = ports.host.offer
    const { labels, zone, slots, resources, url, version } = config
    return {
      executors,
      handlers,
      labels,
      zone,
      slots,
      resources,
      url,
      version,
      addresses: ports.transport.addresses()
    }
  }

  #tick(renewal: () => LeaseRenewal | undefined): void {
    if (this.#leadership.reigning) {
      const own = renewal()
      if (own !== undefined) this.#leadership.renewal(this.nodeId, own)
    }
    this.#leadership.tick()
    this.#keeper.tick()
    this.#reconciler.tick()
    this.#forwarder.tick()
    this.#reads.tick()
    this.logs.flush().catch((error: unknown) => {
      this.fail(toAppError(error))
    })
  }

  /** An entry is part of the state now: everybody hears what it did. */
  #applied(entry: Entry, events: readonly SchedulerEvent[]): void {
    this.#leadership.applied(entry.index, entry.term, events)
    this.#reads.applied(entry.index)
    if (events.length === 0) return
    this.#keeper.observe(events)
    this.#reconciler.observe(events)
    this.#waiters.observe(events)
    for (const event of events) {
      if (event.type === 'outcome') {
        if (event.origin.node === this.nodeId) this.#forwarder.settled(event.origin, event.outcome)
      } else if (event.type === 'node-changed') {
        this.#book.update(this.state.nodes)
      } else if (event.type === 'task-retired') {
        this.logs.forget(event.taskId)
      }
    }
    this.#options.onEvents?.(events, entry.index)
  }

  #frame(from: NodeId, channel: Channel, bytes: Uint8Array): void {
    if (channel !== 'forward') {
      this.#loop.receive(from, channel, bytes)
      return
    }
    const frame = decodeForwardFrame(bytes)
    if (frame === undefined) return
    for (const refusal of frame.refusals) this.#forwarder.refused(from, refusal)
    if (frame.proposals !== undefined) this.#leadership.take(from, decodeProposals(frame.proposals))
    this.#loop.schedule()
  }

  #notify(proposal: Proposal): void {
    this.#forwarder.notify(proposal)
    this.#loop.schedule()
  }

  #sendProposals(to: NodeId, proposals: readonly Proposal[]): void {
    if (to === this.nodeId) {
      this.#leadership.take(to, proposals)
      return
    }
    const frame = encodeForwardFrame({ proposals: encodeProposals(proposals), refusals: [] })
    this.#options.ports.transport.send(to, 'forward', frame)
  }

  #refuse(to: NodeId, refusal: ProposalRefusal): void {
    if (to === this.nodeId) this.#forwarder.refused(to, refusal)
    else this.#options.ports.transport.send(to, 'forward', encodeForwardFrame({ refusals: [refusal] }))
  }

  #granted(grant: LeaseGrant): void {
    const { ports } = this.#options
    if (!this.#lease.granted(grant, ports.clock.monotonicNow())) return
    ports.host.extendLease(grant.incarnation, this.#lease.deadline)
    this.#reconciler.leaseGranted()
  }

  /** Swaps the received rows in and goes on from them. */
  async #install(snapshot: Snapshot): Promise<void> {
    const { stores, logger } = this.#options.ports
    const store = await this.#materializer.detach()
    await store.close()
    await stores.swap(STATE_STORE, INCOMING_STORE)
    const fresh = await stores.open(STATE_STORE)
    const { state, position } = await openState(fresh)
    logger.info({ index: position.index, announced: snapshot.index }, 'snapshot installed')
    this.#materializer.attach(fresh, state, position)
    this.#applier.replace(state)
    this.#compactor.membership(position.index, position.confState)
    this.#reads.applied(position.index)
    this.#book.update(state.nodes)
    this.#keeper.replaceState(state)
    this.#reconciler.replaceState(state)
    this.#waiters.releaseAll()
  }

  async #until(condition: () => boolean, deadline: number): Promise<void> {
    const { clock, timers } = this.#options.ports
    while (!condition() && clock.monotonicNow() < deadline && this.#phase === 'stopping') {
      await new Promise<void>((resolve) => {
        timers.after(this.#options.config.timing.tickMs, resolve)
      })
    }
  }
}

/** A node asks for more time this often within one lease, so that a lost message or two cost nothing. */
const RENEWALS_PER_LEASE = 10

function stopping(): AppError {
  return new AppError('SHUTTING_DOWN', 'the node is not running')
}
