/**
 * Everything that only the Raft leader does, begun and ended with its reign: proposals and plans (`leader.ts`), node
 * leases, state time, membership.
 *
 * A reign begins when the node leads *and* has applied an entry of its own term: before that neither its state nor its
 * plans can be trusted, nothing is planned and no lease is granted.
 */
import { nodeId, type NodeId } from '../../base/ids.ts'
import { durationMs, monotonicMs } from '../../base/units.ts'
import type { ConfChange, RaftStatus, StepResult } from '../../consensus/index.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { Proposal } from '../../scheduler/proposals.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { ClusterNode } from '../../scheduler/types.ts'
import type { RuntimeConfig } from '../config.ts'
import { LeaseTable, type NodeReport } from '../leases/lease-table.ts'
import { nextConfChange } from '../membership/autopilot.ts'
import type { LeaseGrant, LeaseRenewal } from '../messages.ts'
import { Leader, type LeaderInput } from './leader.ts'
import type { PolicyStatus } from './policy-desk.ts'
import { StampClock } from './stamp-clock.ts'

/** The part of the raft turn that a leader uses. */
interface LeadershipRaft {
  readonly role: string
  readonly term: number
  readonly committed: number
  readonly lastIndex: number
  status(): RaftStatus
  propose(data: Uint8Array): StepResult
  proposeConfChange(change: ConfChange): StepResult
  readIndex(context: Uint8Array): StepResult
  transferLeader(to: NodeId): void
  grantLease(to: NodeId, grant: LeaseGrant): void
}

export interface LeadershipInput extends Omit<
  LeaderInput,
  'stamps' | 'propose' | 'lastIndex' | 'excluded' | 'storageFull'
> {
  readonly config: RuntimeConfig
  readonly raft: () => LeadershipRaft
  readonly state: () => SchedulerState
  readonly appliedIndex: () => number
  /** A lease for this node itself, granted without the network. */
  readonly onOwnGrant: (grant: LeaseGrant) => void
}

/** First byte of a lease round's read context; see `READ_CONTEXT`. */
export const LEASE_CONTEXT = 0x4c
/** Ticks after which an unanswered lease round is begun anew. */
const ROUND_TICKS = 3
/** Ticks between two attempts to hand over because of the clock. */
const HANDOVER_TICKS = 30
/** A voter without a lease for this many leases is exchanged when another node can take its place. */
const DEAD_LEASES = 6

export class Leadership {
  readonly #input: LeadershipInput
  readonly #leader: Leader
  readonly #leases = new LeaseTable()
  readonly #stamps: StampClock
  #round = 0
  #roundAge = 0
  #leadsSince = 0
  #suspended = false
  /** Ticks since this leader's clock was found to be off. */
  #ticksOff = 0
  /** Ticks since this leader's disk was found to be full. */
  #ticksFull = 0
  readonly #lostAt = new Map<NodeId, number>()

  constructor(input: LeadershipInput) {
    this.#input = input
    this.#stamps = new StampClock(input.clock)
    this.#leader = new Leader({
      ...input,
      stamps: this.#stamps,
      propose: (data) => input.raft().propose(data),
      lastIndex: () => input.raft().lastIndex,
      excluded: (node) => !this.#mayPlaceOn(node),
      storageFull: () => this.#suspended
    })
  }

  get reigning(): boolean {
    return this.#leader.reigning
  }

  get policyStatus(): PolicyStatus {
    return this.#leader.policyStatus
  }

  /** What the leader last heard of a node; undefined while this node does not lead. */
  report(node: NodeId): NodeReport | undefined {
    return this.#leases.report(node)
  }

  /** Milliseconds left of a node's lease in the leader's view. */
  leaseRemainingMs(node: NodeId): number | undefined {
    return this.#leases.remainingMs(node, this.#input.clock.monotonicNow())
  }

  /** While the disk is full nothing new is taken; what is in the log goes on. */
  suspend(suspended: boolean): void {
    this.#suspended = suspended
  }

  roleChanged(): void {
    if (this.#input.raft().role !== 'leader' && this.#leader.reigning) this.end()
  }

  end(): void {
    this.#leader.end()
    this.#leases.clear()
    this.#lostAt.clear()
  }

  take(from: NodeId, proposals: readonly Proposal[]): void {
    this.#leader.take(from, proposals)
  }

  collect(): void {
    this.#leader.collect()
  }

  /** An entry was applied by this node. */
  applied(index: number, term: number, events: readonly SchedulerEvent[]): void {
    const raft = this.#input.raft()
    if (!this.#leader.reigning) {
      if (raft.role === 'leader' && term === raft.term) this.#begin(term)
      return
    }
    this.#leader.applied(index, term, events)
    for (const event of events) {
      if (event.type === 'incarnation-opened') {
        this.#lostAt.delete(event.node)
        this.#leases.opened(event.node, event.incarnation, monotonicMs(this.#leaseEnd()))
      } else if (event.type === 'incarnation-ended') {
        this.#leases.ended(event.node, event.incarnation)
        this.#lostAt.set(event.node, this.#input.clock.monotonicNow())
      }
    }
  }

  /** A node asks for more time. */
  renewal(from: NodeId, renewal: LeaseRenewal): void {
    if (!this.#leader.reigning) return
    const { clock } = this.#input
    this.#leases.received(from, renewal, { monotonic: clock.monotonicNow(), wall: clock.wallNow() })
  }

  /** A heartbeat round that began after the renewals came has confirmed the leadership. */
  roundConfirmed(context: Uint8Array): void {
    if (!this.#leader.reigning || context[1] !== (this.#round & 0xff)) return
    this.#roundAge = 0
    const { config } = this.#input
    const { leaseMs } = this.#input.state().settings
    for (const { node, grant } of this.#leases.confirmRound(leaseMs, config.timing.leaseMarginMs)) {
      if (node === config.nodeId) this.#input.onOwnGrant(grant)
      else this.#input.raft().grantLease(node, grant)
    }
  }

  /** Once per tick, after Raft's own. */
  tick(): void {
    if (!this.#leader.reigning) return
    const now = this.#input.clock.monotonicNow()
    this.#leader.declareLost(this.#leases.takeExpired(now))
    this.#leaseRound()
    this.#watchClock()
    this.#handOverWhenFull()
    this.#leader.tick()
    this.#membership(now)
  }

  #begin(term: number): void {
    const state = this.#input.state()
    this.#leadsSince = this.#input.clock.monotonicNow()
    const open = [...state.nodes.values()].filter((node) => node.open)
    this.#leases.reset(
      open.map((node) => ({ node: node.id, incarnation: node.incarnation })),
      monotonicMs(this.#leaseEnd())
    )
    this.#roundAge = 0
    this.#ticksOff = 0
    this.#leader.begin(state, term)
    // A single voter has nobody to ask, and stamps with its own clock from the first entry on.
    this.#watchClock()
    // Before anybody is registered: the founder writes down how its cluster was set up.
    if (state.nodes.size === 0) {
      const leaseMs = durationMs(this.#input.config.timing.leaseMs)
      this.#leader.take(this.#input.nodeId, [{ type: 'set-settings', settings: { leaseMs } }])
    }
  }

  /** When a lease that begins now ends at the latest, in the leader's view. */
  #leaseEnd(): number {
    const { config, clock } = this.#input
    return clock.monotonicNow() + this.#input.state().settings.leaseMs + config.timing.leaseMarginMs
  }

  #leaseRound(): void {
    this.#roundAge += 1
    if (this.#roundAge > ROUND_TICKS) this.#leases.abandonRound()
    if (!this.#leases.beginRound()) return
    this.#roundAge = 0
    this.#round += 1
    this.#input.raft().readIndex(new Uint8Array([LEASE_CONTEXT, this.#round & 0xff]))
  }

  /** A leader whose disk is full hands over to a voter that may have room, and tries again while it leads. */
  #handOverWhenFull(): void {
    this.#ticksFull = this.#suspended ? this.#ticksFull + 1 : 0
    // Asked for again: the first heir may have been away, or be full as well.
    if (this.#ticksFull % HANDOVER_TICKS !== 1) return
    const raft = this.#input.raft()
    const heir = successor(raft.status())
    if (heir !== undefined) raft.transferLeader(heir)
  }

  /** A leader whose clock is off hands over to a voter whose clock it measured, and tries again while it leads. */
  #watchClock(): void {
    const raft = this.#input.raft()
    const status = raft.status()
    const { voters } = status.confState
    const freshSince = this.#input.clock.monotonicNow() - this.#input.state().settings.leaseMs
    const readings = []
    for (const id of voters) {
      const report = id === status.id ? undefined : this.#leases.report(nodeId(id))
      if (report !== undefined && report.heardAt >= freshSince) readings.push(report)
    }
    if (this.#stamps.observe(readings, voters.length) !== 'off') {
      this.#ticksOff = 0
      return
    }
    this.#ticksOff += 1
    if (this.#ticksOff % HANDOVER_TICKS !== 1) return
    const offsets = readings.map(({ clockOffsetMs }) => clockOffsetMs)
    this.#input.logger.error({ offsets }, 'the clock of this leader is off; handing leadership over')
    const heir = successor(status)
    if (heir !== undefined) raft.transferLeader(heir)
  }

  #membership(now: number): void {
    const raft = this.#input.raft()
    const state = this.#input.state()
    const status = raft.status()
    const deadMs = state.settings.leaseMs * DEAD_LEASES
    const change = nextConfChange({
      nodes: state.nodes,
      raft: status,
      committed: raft.committed,
      isDead: (node) => !node.open && now - (this.#lostAt.get(node.id) ?? this.#leadsSince) > deadMs
    })
    if (change !== undefined) {
      const result = raft.proposeConfChange(change)
      this.#input.logger.info({ changes: change.changes, result }, 'membership change proposed')
      return
    }
    this.#forgetLeft(state, status)
  }

  /** A node that left and is out of the configuration is removed from the books. */
  #forgetLeft(state: SchedulerState, status: RaftStatus): void {
    const { voters, learners, votersOutgoing } = status.confState
    for (const node of state.nodes.values()) {
      if (node.status !== 'leaving' || node.open || node.placements.size > 0) continue
      if ([voters, learners, votersOutgoing].some((list) => list.includes(node.id))) continue
      this.#leader.take(this.#input.nodeId, [{ type: 'remove-node', node: node.id }])
      return
    }
  }

  #mayPlaceOn(node: ClusterNode): boolean {
    const now = this.#input.clock.monotonicNow()
    if (!this.#leases.holds(node.id, node.incarnation, now)) return false
    const report = this.#leases.report(node.id)
    if (report === undefined) return true
    return this.#input.appliedIndex() - report.applied <= this.#input.config.maxApplyLag
  }
}

/** The voter that is furthest along and was heard of lately. */
export function successor(status: RaftStatus): NodeId | undefined {
  let best: NodeId | undefined
  let match = -1
  for (const progress of status.progress) {
    if (progress.id === status.id || progress.isLearner || !progress.recentActive) continue
    if (progress.match > match) {
      match = progress.match
      best = nodeId(progress.id)
    }
  }
  return best
}
