/**
 * The lives of a node: announces an incarnation, keeps its lease, and when that lapses ends it and begins the next.
 *
 *   idle → recording → announcing → open → ending → recording …
 *                                      └──► leaving → stopped
 *
 * N1. A number is durable before it is proposed, so no number is ever used twice.
 * N2. The next number is announced only when every attempt of the last one is gone (`endIncarnation` resolved).
 * N3. The log alone opens an incarnation: announcements are repeated until this node applies its own.
 * N4. A node that is to leave the cluster ends its incarnation when its last attempt is over, and begins no other.
 * N5. A node whose number is below what the log knows of it has lost its memory, and must not go on under its name.
 */
import { AppError } from '../../base/errors.ts'
import { incarnation as toIncarnation, type Incarnation, type NodeId, type PeerId } from '../../base/ids.ts'
import type { AttemptReport } from '../../scheduler/commands.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { Proposal } from '../../scheduler/proposals.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { NodeOffer } from '../../scheduler/types.ts'
import type { LeaseHolder } from '../leases/lease-holder.ts'
import type { AttemptHost } from '../ports/attempt-host.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/log.ts'

export interface IncarnationInput {
  readonly nodeId: NodeId
  readonly peerId: PeerId
  readonly clock: Clock
  readonly logger: Logger
  readonly host: AttemptHost
  readonly lease: LeaseHolder
  readonly resendMs: number
  readonly offer: () => NodeOffer
  readonly outbox: () => AttemptReport[]
  /** Makes a number durable, then calls back. */
  readonly record: (incarnation: Incarnation, onDurable: () => void) => void
  readonly notify: (proposal: Proposal) => void
  readonly onOpened: (incarnation: Incarnation) => void
  /** The incarnation is over for this node; its attempts are being killed. */
  readonly onClosed: (incarnation: Incarnation) => void
  readonly onFatal: (error: AppError) => void
}

type Phase = 'idle' | 'recording' | 'announcing' | 'open' | 'ending' | 'leaving' | 'stopped'

export class IncarnationKeeper {
  readonly #input: IncarnationInput
  #state: SchedulerState
  #phase: Phase = 'idle'
  #number: Incarnation
  #lastSentAt = -Infinity

  /** `last` is the highest number that was ever recorded. */
  constructor(input: IncarnationInput, state: SchedulerState, last: Incarnation) {
    this.#input = input
    this.#state = state
    this.#number = last
  }

  get phase(): Phase {
    return this.#phase
  }

  get current(): Incarnation {
    return this.#number
  }

  start(): void {
    this.#begin()
  }

  replaceState(state: SchedulerState): void {
    this.#state = state
    // It may be the first that knows this node: what was said before went unheard.
    this.hurry()
    this.#check()
  }

  observe(events: readonly SchedulerEvent[]): void {
    for (const event of events) {
      const mine = 'node' in event && event.node === this.#input.nodeId
      if (!mine) continue
      if (event.type === 'incarnation-opened' || event.type === 'incarnation-ended') this.#check()
      else if (event.type === 'node-changed') this.hurry()
    }
  }

  /** Something changed that an announcement was waiting for (a leader, this node's registration): it need not wait. */
  hurry(): void {
    this.#lastSentAt = -Infinity
  }

  /** Once per tick. */
  tick(): void {
    const now = this.#input.clock.monotonicNow()
    if (this.#phase === 'open' && this.#input.lease.lapsed(now)) {
      this.#input.logger.warn({ incarnation: this.#number }, 'the lease lapsed: attempts are killed')
      this.#end()
    }
    if (this.#phase === 'open' && this.#hasLeft()) this.#phase = 'leaving'
    if (now - this.#lastSentAt < this.#input.resendMs) return
    if (this.#phase === 'announcing') this.#announce(now)
    else if (this.#phase === 'leaving') this.#sayGoodbye(now)
  }

  /** Whether this node was told to leave and nothing that was placed on it is left. */
  #hasLeft(): boolean {
    const known = this.#state.nodes.get(this.#input.nodeId)
    return known?.status === 'leaving' && known.placements.size === 0
  }

  #sayGoodbye(now: number): void {
    this.#lastSentAt = now
    const { nodeId: node } = this.#input
    this.#input.notify({ type: 'end-incarnation', node, incarnation: this.#number, reason: 'stopped' })
  }

  /** Ends the present incarnation for good: its attempts are killed and the log is told. The node stops. */
  async stop(): Promise<void> {
    const wasOpen = this.#phase === 'open'
    this.#phase = 'stopped'
    this.#input.lease.close()
    if (!wasOpen) return
    await this.#input.host.endIncarnation(this.#number)
    this.#sayGoodbye(this.#input.clock.monotonicNow())
  }

  #begin(): void {
    this.#phase = 'recording'
    this.#number = toIncarnation(this.#number + 1)
    const number = this.#number
    this.#input.record(number, () => {
      if (this.#phase !== 'recording' || this.#number !== number) return
      this.#phase = 'announcing'
      this.#announce(this.#input.clock.monotonicNow())
    })
  }

  #announce(now: number): void {
    this.#lastSentAt = now
    const { nodeId: node, peerId, offer } = this.#input
    if (!this.#state.nodes.has(node)) {
      // Only the node that gave birth to the cluster is unknown to its own log, and only for a moment.
      const { addresses, zone } = offer()
      this.#input.notify({ type: 'register-node', peerId, addresses, zone })
      return
    }
    const outbox = this.#input.outbox().slice(0, MAX_OUTBOX)
    this.#input.notify({ type: 'announce', node, incarnation: this.#number, offer: offer(), outbox })
  }

  /** Compares what the log knows of this node with what the node knows of itself. */
  #check(): void {
    const known = this.#state.nodes.get(this.#input.nodeId)
    if (known === undefined || this.#phase === 'stopped') return
    if (known.incarnation > this.#number) {
      const message = `node ${this.#input.nodeId}: the cluster knows incarnation ${known.incarnation}, this data folder only ${this.#number}: the folder lost what it had recorded`
      this.#input.onFatal(new AppError('HARD_STATE_CORRUPT', message))
      return
    }
    const isCurrent = known.incarnation === this.#number
    if (this.#phase === 'leaving' && isCurrent && !known.open) {
      this.#phase = 'stopped'
      this.#input.lease.close()
      this.#input.onClosed(this.#number)
      this.#input.logger.info(
        { incarnation: this.#number },
        'this node has left the cluster and may be stopped'
      )
      return
    }
    if (this.#phase === 'announcing' && isCurrent && known.open) {
      this.#phase = 'open'
      this.#input.lease.open(this.#number)
      this.#input.logger.info({ incarnation: this.#number }, 'incarnation opened')
      this.#input.onOpened(this.#number)
    } else if (isCurrent && !known.open && (this.#phase === 'open' || this.#phase === 'announcing')) {
      this.#input.logger.warn({ incarnation: this.#number }, 'the cluster ended this incarnation')
      this.#end()
    }
  }

  #end(): void {
    const number = this.#number
    this.#phase = 'ending'
    this.#input.lease.close()
    this.#input.onClosed(number)
    this.#input.host.endIncarnation(number).then(
      () => {
        if (this.#phase === 'ending') this.#begin()
      },
      (error: unknown) => {
        this.#input.onFatal(new AppError('INTERNAL', 'attempts could not be ended', { cause: error }))
      }
    )
  }
}

/** Reports in one announcement; the rest follow as ordinary reports, or their attempts end as lost. */
const MAX_OUTBOX = 500
