/**
 * The leader's side of node leases: whose lease it has extended, and until when, in its own monotonic time.
 *
 * Liveness is per node and never enters the log. A node's renewal is granted only after a heartbeat round that began
 * after its receipt has confirmed the leadership, so a deposed leader cannot grant.
 *
 * L1. The leader's view of a lease ends `marginMs` after the node's own: the node always stops first.
 * L2. A new leader presumes every open incarnation alive for one full lease, as its predecessor may have granted one.
 * L3. Nothing is granted to an incarnation once its end was proposed.
 */
import type { Incarnation, NodeId } from '../../base/ids.ts'
import type { MonotonicMs } from '../../base/units.ts'
import type { LeaseGrant, LeaseRenewal } from '../messages.ts'

interface Lease {
  readonly incarnation: Incarnation
  /** End of the lease as the leader sees it. */
  expiresAt: number
  ending: boolean
}

interface PendingRenewal {
  readonly node: NodeId
  readonly renewal: LeaseRenewal
  readonly receivedAt: number
}

/** What a leader last heard of a node. */
export interface NodeReport {
  readonly applied: number
  /** Wall clock of the node minus the leader's, in milliseconds; off by at most one network trip. */
  readonly clockOffsetMs: number
  readonly heardAt: number
}

export class LeaseTable {
  readonly #leases = new Map<NodeId, Lease>()
  readonly #reports = new Map<NodeId, NodeReport>()
  #waiting: PendingRenewal[] = []
  #confirming: PendingRenewal[] = []

  /** A reign begins: every open incarnation gets one whole lease from now. */
  reset(
    open: Iterable<{ readonly node: NodeId; readonly incarnation: Incarnation }>,
    until: MonotonicMs
  ): void {
    this.clear()
    for (const { node, incarnation } of open) this.#leases.set(node, lease(incarnation, until))
  }

  clear(): void {
    this.#leases.clear()
    this.#reports.clear()
    this.#waiting = []
    this.#confirming = []
  }

  opened(node: NodeId, incarnation: Incarnation, until: MonotonicMs): void {
    this.#leases.set(node, lease(incarnation, until))
  }

  ended(node: NodeId, incarnation: Incarnation): void {
    if (this.#leases.get(node)?.incarnation === incarnation) this.#leases.delete(node)
  }

  received(node: NodeId, renewal: LeaseRenewal, at: { monotonic: number; wall: number }): void {
    this.#reports.set(node, {
      applied: renewal.applied,
      clockOffsetMs: renewal.wall - at.wall,
      heardAt: at.monotonic
    })
    const held = this.#leases.get(node)
    if (held?.incarnation !== renewal.incarnation || held.ending) return
    this.#waiting.push({ node, renewal, receivedAt: at.monotonic })
  }

  /**
   * A confirming round may begin: what was received so far is granted when it succeeds. False when nothing waits or a
   * round is under way.
   */
  beginRound(): boolean {
    if (this.#waiting.length === 0 || this.#confirming.length > 0) return false
    this.#confirming = this.#waiting
    this.#waiting = []
    return true
  }

  /** The round was lost (no quorum answered); its renewals may be confirmed by the next one. */
  abandonRound(): void {
    this.#waiting = [...this.#confirming, ...this.#waiting]
    this.#confirming = []
  }

  /** The round succeeded: extends the leases and returns what to tell the nodes. */
  confirmRound(leaseMs: number, marginMs: number): { readonly node: NodeId; readonly grant: LeaseGrant }[] {
    const grants = []
    for (const { node, renewal, receivedAt } of this.#confirming) {
      const held = this.#leases.get(node)
      if (held?.incarnation !== renewal.incarnation || held.ending) continue
      held.expiresAt = Math.max(held.expiresAt, receivedAt + leaseMs + marginMs)
      grants.push({ node, grant: { incarnation: renewal.incarnation, t0: renewal.t0, leaseMs } })
    }
    this.#confirming = []
    return grants
  }

  /** Open incarnations whose lease is over; each is reported once, and gets no grant from now on. */
  takeExpired(now: MonotonicMs): { readonly node: NodeId; readonly incarnation: Incarnation }[] {
    const expired = []
    for (const [node, held] of this.#leases) {
      if (held.ending || now < held.expiresAt) continue
      held.ending = true
      expired.push({ node, incarnation: held.incarnation })
    }
    return expired
  }

  /** Whether the node may be given work: its incarnation is alive as far as the leader can tell. */
  holds(node: NodeId, incarnation: Incarnation, now: MonotonicMs): boolean {
    const held = this.#leases.get(node)
    return held?.incarnation === incarnation && !held.ending && now < held.expiresAt
  }

  report(node: NodeId): NodeReport | undefined {
    return this.#reports.get(node)
  }

  /** Milliseconds until the lease ends in the leader's view; undefined when none is held. */
  remainingMs(node: NodeId, now: MonotonicMs): number | undefined {
    const held = this.#leases.get(node)
    return held === undefined ? undefined : held.expiresAt - now
  }
}

function lease(incarnation: Incarnation, until: MonotonicMs): Lease {
  return { incarnation, expiresAt: until, ending: false }
}
