/**
 * The parts of one node, wired together: who hears of what, and in which order.
 *
 * Owns no rule of its own; each part has its file. The hooks of a raft turn run in the order in which `RaftHooks` lists
 * them. Lifecycle and the outside view stand in `node-runtime.ts`.
 */
import { toAppError, type AppError } from '../base/errors.ts'
import { incarnation, nodeId, type NodeId } from '../base/ids.ts'
import { createRng } from '../base/prng.ts'
import type { Entry, Snapshot } from '../consensus/index.ts'
import type { SchedulerEvent } from '../scheduler/events.ts'
import type { Proposal } from '../scheduler/proposals.ts'
import type { SchedulerState } from '../scheduler/state.ts'
import type { RuntimeOptions } from './runtime-options.ts'
import type { AttemptLogs } from './execution/attempt-logs.ts'
import { IncarnationKeeper } from './execution/incarnation-keeper.ts'
import { nodeOffer } from './execution/node-offer.ts'
import { prepareAttempt } from './execution/prepare.ts'
import { Reconciler } from './execution/reconciler.ts'
import { TaskWaiters } from './execution/task-waiters.ts'
import { LEASE_CONTEXT, Leadership } from './leader/leadership.ts'
import { LeaseHolder } from './leases/lease-holder.ts'
import { AddressBook } from './membership/address-book.ts'
import { PeerDesk } from './membership/peer-desk.ts'
import type { LeaseGrant, LeaseRenewal } from './messages.ts'
import type { Channel } from './ports/transport.ts'
import { Forwarder } from './proposals/forwarder.ts'
import { ProposalMail } from './proposals/proposal-mail.ts'
import { READ_CONTEXT, ReadGate } from './proposals/read-gate.ts'
import { RaftLoop, type RaftHooks } from './raft/raft-loop.ts'
import { shieldListeners } from './shield.ts'
import { Applier } from './storage/applier.ts'
import { Compactor } from './storage/compactor.ts'
import { Materializer } from './storage/materializer.ts'
import { installRows } from './storage/install.ts'
import type { OpenedLog } from './storage/open-log.ts'
import { SnapshotReceiver, SnapshotSender } from './storage/snapshots.ts'

/** How long a proposal, report or read waits before it is sent again. */
const RESEND_MS = 1_000
/** A node asks for more time this often within one lease, so that a lost message or two cost nothing. */
const RENEWALS_PER_LEASE = 10

export class NodeCore {
  readonly logs: AttemptLogs
  readonly opened: OpenedLog
  readonly materializer: Materializer
  readonly loop: RaftLoop
  readonly compactor: Compactor
  readonly applier: Applier
  readonly leadership: Leadership
  readonly forwarder: Forwarder
  readonly reads: ReadGate
  readonly reconciler: Reconciler
  readonly keeper: IncarnationKeeper
  readonly waiters: TaskWaiters
  readonly book: AddressBook
  readonly desk: PeerDesk
  readonly receiver: SnapshotReceiver
  readonly #options: RuntimeOptions
  readonly #lease = new LeaseHolder()
  readonly #mail: ProposalMail
  readonly #sender: SnapshotSender
  /** Where this node's HTTP API listens; known once it does. */
  #url = ''
  #failed = false
  #reigned = false

  constructor(options: RuntimeOptions, opened: OpenedLog, logs: AttemptLogs) {
    const { config, ports } = options
    this.#options = shieldListeners(options)
    this.opened = opened
    this.logs = logs
    this.materializer = this.#makeMaterializer()
    this.loop = this.#makeLoop()
    this.compactor = this.#makeCompactor()
    this.applier = this.#makeApplier()
    const gate = {
      clock: ports.clock,
      seed: ports.entropy.uint32(),
      readIndex: (context: Uint8Array) => this.loop.readIndex(context),
      retryMs: RESEND_MS
    }
    this.reads = new ReadGate(gate, opened.position.index)
    this.forwarder = new Forwarder({
      nodeId: config.nodeId,
      clock: ports.clock,
      resendMs: RESEND_MS,
      send: (to, proposals) => {
        this.#mail.send(to, proposals)
      }
    })
    this.#mail = this.#makeMail()
    this.waiters = new TaskWaiters(ports.timers)
    this.book = new AddressBook(ports.transport, config.nodeId)
    this.book.begin(options.initialPeers ?? [])
    this.leadership = this.#makeLeadership()
    this.reconciler = this.#makeReconciler()
    this.keeper = this.#makeKeeper()
    this.desk = this.#makeDesk()
    this.#sender = new SnapshotSender({
      transport: ports.transport,
      logger: ports.logger,
      state: this.materializer,
      report: (to, status) => {
        this.loop.reportSnapshot(to, status)
      }
    })
    this.receiver = new SnapshotReceiver({
      stores: ports.stores,
      logger: ports.logger,
      accept: (message) => this.loop.injectSnapshot(message)
    })
  }

  get state(): SchedulerState {
    return this.applier.state
  }

  get appliedIndex(): number {
    return this.materializer.position.index
  }

  /** Whether something has failed that the node must not survive. */
  get failed(): boolean {
    return this.#failed
  }

  listensAt(url: string): void {
    this.#url = url
  }

  fail(error: AppError): void {
    if (this.#failed) return
    this.#failed = true
    this.loop.stop()
    this.#options.ports.logger.error({ code: error.code, error: error.message }, 'the node stops')
    this.#options.onFatal(error)
  }

  /** The log has no room for another segment: somebody else should lead until it has. */
  diskFull(full: boolean): void {
    this.#options.ports.logger.error({ full }, full ? 'the disk is full' : 'the disk has room again')
    this.leadership.suspend(full)
  }

  #makeMaterializer(): Materializer {
    const { config, ports } = this.#options
    const { store, state, position } = this.opened
    const input = {
      clock: ports.clock,
      flushMs: config.flushMs,
      maxPendingBytes: config.maxPendingStoreBytes,
      onFailure: (error: AppError) => {
        this.fail(error)
      },
      onFlushed: () => {
        this.compactor.poll()
        this.loop.schedule()
      }
    }
    return new Materializer(input, store, state, position)
  }

  #makeLoop(): RaftLoop {
    const { config, ports } = this.#options
    const { wal, log, position } = this.opened
    const seed = ports.entropy.uint32()
    return new RaftLoop({ ...ports, config, wal, log, seed, applied: position.index, hooks: this.#hooks() })
  }

  #makeCompactor(): Compactor {
    const { config, ports } = this.#options
    const { wal, log, position } = this.opened
    const input = {
      ...{ clock: ports.clock, logger: ports.logger },
      wal,
      log,
      compactBytes: config.compactBytes,
      durable: () => this.materializer.durable,
      raft: () => this.loop.status(),
      onFailure: (error: unknown) => {
        this.fail(toAppError(error))
      }
    }
    return new Compactor(input, position)
  }

  #makeApplier(): Applier {
    return new Applier({
      state: this.opened.state,
      materializer: this.materializer,
      compactor: this.compactor,
      logger: this.#options.ports.logger,
      applyConfChange: (change) => this.loop.applyConfChange(change),
      onApplied: (entry, events) => {
        this.#applied(entry, events)
      }
    })
  }

  #makeMail(): ProposalMail {
    const { config, ports } = this.#options
    return new ProposalMail({
      ...ports,
      nodeId: config.nodeId,
      take: (from, proposals) => {
        this.leadership.take(from, proposals)
      },
      refused: (from, refusal) => {
        this.forwarder.refused(from, refusal)
      }
    })
  }

  #makeLeadership(): Leadership {
    const { config, ports, policies, onPolicyFailure } = this.#options
    return new Leadership({
      nodeId: config.nodeId,
      config,
      clock: ports.clock,
      logger: ports.logger,
      rng: createRng(ports.entropy.uint32()),
      policies: policies ?? new Map(),
      ...(onPolicyFailure === undefined ? {} : { onPolicyFailure }),
      raft: () => this.loop,
      state: () => this.state,
      appliedIndex: () => this.appliedIndex,
      storeFull: () => this.materializer.full,
      refuse: (to, refusal) => {
        this.#mail.refuse(to, refusal)
      },
      onOwnGrant: (grant) => {
        this.#granted(grant)
      }
    })
  }

  #makeReconciler(): Reconciler {
    const { config, ports } = this.#options
    const input = {
      nodeId: config.nodeId,
      clock: ports.clock,
      logger: ports.logger,
      host: ports.host,
      lazyStartMs: config.lazyStartMs,
      resendMs: RESEND_MS,
      leaseValid: () => this.#lease.valid(ports.clock.monotonicNow()),
      prepare: prepareAttempt.bind(undefined, this.materializer),
      notify: (proposal: Proposal) => {
        this.notify(proposal)
      }
    }
    return new Reconciler(input, this.state)
  }

  #makeKeeper(): IncarnationKeeper {
    const { config, ports } = this.#options
    const input = {
      nodeId: config.nodeId,
      peerId: config.peerId,
      clock: ports.clock,
      logger: ports.logger,
      host: ports.host,
      lease: this.#lease,
      resendMs: RESEND_MS,
      offer: () => nodeOffer(config, ports, this.#url),
      outbox: () => this.reconciler.outbox(),
      record: (number: number, onDurable: () => void) => {
        this.opened.wal.recordIncarnation(number, onDurable)
      },
      notify: (proposal: Proposal) => {
        this.notify(proposal)
      },
      onOpened: (number: ReturnType<typeof incarnation>) => {
        this.forwarder.openIncarnation(number)
        this.reconciler.open(number)
      },
      onClosed: () => {
        this.reconciler.close()
      },
      onFatal: (error: AppError) => {
        this.fail(error)
      }
    }
    return new IncarnationKeeper(input, this.state, incarnation(this.opened.incarnation))
  }

  #makeDesk(): PeerDesk {
    const { config, ports } = this.#options
    return new PeerDesk({
      config,
      logs: this.logs,
      book: this.book,
      transport: ports.transport,
      state: () => this.state,
      register: (peerId, addresses, zone) => {
        this.notify({ type: 'register-node', peerId, addresses, zone })
      },
      after: (milliseconds) =>
        new Promise((resolve) => {
          ports.timers.after(milliseconds, resolve)
        })
    })
  }

  #hooks(): RaftHooks {
    return {
      onTick: () => {
        this.#tick()
      },
      applyEntry: (entry) => {
        this.applier.apply(entry)
      },
      afterApply: () => {
        this.materializer.poll()
        this.reads.flush()
        this.forwarder.flush()
        this.leadership.collect()
      },
      onApplyFailure: ({ index }, error) => {
        this.#options.ports.logger.error(
          { index, error: String(error) },
          'applying an entry failed; this node applies no further'
        )
      },
      onRoleChange: () => {
        this.leadership.roleChanged()
        this.#tellReign()
        this.forwarder.setLeader(this.loop.leader)
        this.keeper.hurry()
        this.reconciler.hurry()
      },
      onReadState: (index, context) => {
        if (context[0] === READ_CONTEXT) this.reads.confirmed(index, context)
        else if (context[0] === LEASE_CONTEXT) this.leadership.roundConfirmed(context)
      },
      holdApply: () => this.materializer.full,
      renewalFor: (to) => (to === this.loop.leader ? this.#renewal() : undefined),
      onRenewal: (from, asked) => {
        this.leadership.renewal(from, asked)
      },
      onGrant: (from, grant) => {
        if (from === this.loop.leader) this.#granted(grant)
      },
      sendSnapshot: (message) => {
        this.#sender.send(nodeId(message.to), message)
      },
      installSnapshot: (snapshot) => this.#install(snapshot),
      onFatal: (error) => {
        this.fail(toAppError(error))
      }
    }
  }

  #renewal(): LeaseRenewal | undefined {
    const { clock } = this.#options.ports
    const everyMs = this.state.settings.leaseMs / RENEWALS_PER_LEASE
    return this.#lease.renewal(clock.monotonicNow(), clock.wallNow(), this.appliedIndex, everyMs)
  }

  #tick(): void {
    if (this.leadership.reigning) {
      const own = this.#renewal()
      if (own !== undefined) this.leadership.renewal(this.#options.config.nodeId, own)
    }
    this.leadership.tick()
    this.keeper.tick()
    this.reconciler.tick()
    this.forwarder.tick()
    this.reads.tick()
    this.logs.flush().catch((error: unknown) => {
      this.fail(toAppError(error))
    })
  }

  /** An entry is part of the state now: everybody hears what it did. */
  #applied(entry: Entry, events: readonly SchedulerEvent[]): void {
    if (events.length > 0) this.#options.beforeEvents?.(events, entry.index)
    this.leadership.applied(entry.index, entry.term, events)
    this.#tellReign()
    this.reads.applied(entry.index)
    if (events.length === 0) return
    this.keeper.observe(events)
    this.reconciler.observe(events)
    this.waiters.observe(events)
    for (const event of events) {
      if (event.type === 'outcome') {
        if (event.origin.node === this.#options.config.nodeId)
          this.forwarder.settled(event.origin, event.outcome)
      } else if (event.type === 'node-changed') {
        this.book.update(this.state.nodes)
      } else if (event.type === 'task-retired') {
        this.logs.forget(event.taskId)
      }
    }
    this.#options.onEvents?.(events, entry.index)
  }

  #tellReign(): void {
    const { reigning } = this.leadership
    if (reigning === this.#reigned) return
    this.#reigned = reigning
    this.#options.onReign?.(reigning)
  }

  /** A frame from a member. */
  receive(from: NodeId, channel: Channel, bytes: Uint8Array): void {
    if (channel === 'forward') this.#mail.receive(from, bytes)
    else this.loop.receive(from, channel, bytes)
    this.loop.schedule()
  }

  /** Sends a proposal that needs no outcome, with this turn. */
  notify(proposal: Proposal): void {
    this.forwarder.notify(proposal)
    this.loop.schedule()
  }

  #granted(grant: LeaseGrant): void {
    const { clock, host } = this.#options.ports
    if (!this.#lease.granted(grant, clock.monotonicNow())) return
    host.extendLease(grant.incarnation, this.#lease.deadline)
    this.reconciler.leaseGranted()
  }

  /** Swaps the received rows in and goes on from them. */
  async #install(snapshot: Snapshot): Promise<void> {
    const { stores, logger } = this.#options.ports
    const { store, state, position } = await installRows(stores, this.materializer)
    logger.info({ index: position.index, announced: snapshot.index }, 'snapshot installed')
    this.materializer.attach(store, state, position)
    this.applier.replace(state)
    this.compactor.membership(position.index, position.confState)
    this.reads.applied(position.index)
    this.book.update(state.nodes)
    this.keeper.replaceState(state)
    this.reconciler.replaceState(state)
    this.waiters.releaseAll()
    this.#options.onReplaced?.()
  }
}
