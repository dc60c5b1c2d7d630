/**
 * A node's own side of its lease: when it may run attempts, and when it must ask for more time.
 *
 * Reads only its own monotonic clock. The lease counts from the moment the renewal was sent (t0), so whatever the network
 * takes only shortens it.
 */
import type { Incarnation } from '../../base/ids.ts'
import { monotonicMs, type MonotonicMs, type TimestampMs } from '../../base/units.ts'
import type { LeaseGrant, LeaseRenewal } from '../messages.ts'

export class LeaseHolder {
  #incarnation: Incarnation | undefined
  #deadline = 0
  #lastRenewalAt = -Infinity

  /** The incarnation was opened by the log: from now on it may ask for a lease. */
  open(incarnation: Incarnation): void {
    if (this.#incarnation === incarnation) return
    this.#incarnation = incarnation
    this.#deadline = 0
    this.#lastRenewalAt = -Infinity
  }

  close(): void {
    this.#incarnation = undefined
    this.#deadline = 0
  }

  get deadline(): MonotonicMs {
    return monotonicMs(this.#deadline)
  }

  valid(now: MonotonicMs): boolean {
    return this.#incarnation !== undefined && now < this.#deadline
  }

  /** Whether a lease was granted and has run out since. */
  lapsed(now: MonotonicMs): boolean {
    return this.#incarnation !== undefined && this.#deadline > 0 && now >= this.#deadline
  }

  /** The renewal to send now, or undefined when the last one is fresh enough. */
  renewal(
    now: MonotonicMs,
    wall: TimestampMs,
    applied: number,
    minimumIntervalMs: number
  ): LeaseRenewal | undefined {
    if (this.#incarnation === undefined || now - this.#lastRenewalAt < minimumIntervalMs) return undefined
    this.#lastRenewalAt = now
    return { incarnation: this.#incarnation, t0: now, wall, applied }
  }

  /** Takes a grant; true when the deadline moved. A grant for another incarnation or that came too late is void. */
  granted(grant: LeaseGrant, now: MonotonicMs): boolean {
    if (grant.incarnation !== this.#incarnation) return false
    const deadline = grant.t0 + grant.leaseMs
    if (deadline <= this.#deadline || deadline <= now || this.lapsed(now)) return false
    this.#deadline = deadline
    return true
  }
}
