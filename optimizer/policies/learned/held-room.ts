/**
 * Room that is held for one task at a time, and what that costs: a share of all that is placed.
 *
 * 1. A reservation is worked out again when the running have changed by an eighth, when nodes have, when its time has come, or for another
 *    task. Each time costs O(n log n) of what runs, so that it is to be asked for only where something would be held back.
 * 2. What stands idle for it is paid for with credit, and without credit there is none. A task that used it up in vain has room held for it
 *    again only when what was earned since lasts until the reservation's time, or is worth another try (`NEXT_TRY`): else every bit of credit
 *    would go the same way, the more surely the more often the policy is asked. Credit is counted in predicted areas, so that room costs its
 *    share as far as these are right.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import { idleOn, without } from './reservation.ts'
import type { ExpectedEnds, Reservation } from './reservation.ts'

/** Credit is kept for at most this many mean tasks. */
const MOST_CREDIT = 50
/**
 * Mean tasks that credit is to be worth before room is held again for a task that has used it up in vain. Reservations are mostly due sooner
 * than predicted: never to try made METACENTRUM's mean slowdown a tenth worse.
 */
const NEXT_TRY = 0.25
const DECAY = 0.999
/** Changes of the running, relative to their number, before a reservation is worked out again. */
const STALE_AFTER = 1 / 8

export class HeldRoom {
  readonly #ends: ExpectedEnds
  readonly #share: number
  #reservation: Reservation | undefined
  /** The task for which `#reservation` was looked for last, found or not, and when as the running change. */
  #reservedFor: TaskId | undefined
  #reservedAt = 0
  /** What stands idle for it, in slots, since when. */
  #idle: { readonly since: number; readonly width: number } | undefined
  /** The task for which credit was used up in vain, last. */
  #brokeFor: TaskId | undefined
  #credit = 0
  #areaSum = 0
  #weight = 0

  /** `share` of what is placed may stand idle, in [0, 1]. */
  constructor(ends: ExpectedEnds, share: number) {
    this.#ends = ends
    this.#share = share
  }

  /** In slot-milliseconds; below 0 after more was spent than earned. */
  get credit(): number {
    return this.#credit
  }

  /** The task that has a reservation. */
  get heldFor(): TaskId | undefined {
    return this.#reservation?.taskId
  }

  /** Forgets for whom room is held; credit stays. */
  clear(): void {
    this.#reservation = undefined
    this.#reservedFor = undefined
    this.#idle = undefined
    this.#brokeFor = undefined
  }

  /** Something was placed that is expected to take `area`, in slot-milliseconds. */
  earn(area: number): void {
    this.#areaSum = this.#areaSum * DECAY + area
    this.#weight = this.#weight * DECAY + 1
    this.#credit = Math.min(MOST_CREDIT * this.#meanArea, this.#credit + this.#share * area)
  }

  /** The task has the node until `endsAt`: of what is to spare at the reservation's time it takes its part, which is nobody else's then. */
  placed({ resources }: TaskView, node: NodeId, endsAt: number): void {
    const found = this.#reservation
    if (found === undefined || found.node !== node || endsAt <= found.at) return
    this.#reservation = without(found, resources)
  }

  /** The node may be gone, and another may have room earlier. */
  nodesChanged(): void {
    this.#reservedAt = -Infinity
  }

  spend(area: number): void {
    this.#credit -= area
  }

  /** The task waits no more. */
  gone(id: TaskId): void {
    if (this.#reservedFor !== id) return
    this.#reservation = undefined
    this.#reservedFor = undefined
  }

  /** Room for a task that fits nowhere now; undefined when it never will as things run, or when there is no credit for it. */
  reserve(task: TaskView, view: ClusterView): Reservation | undefined {
    if (this.#credit <= 0) return undefined
    const isFresh = this.#ends.changes - this.#reservedAt <= STALE_AFTER * this.#ends.size
    if (this.#reservedFor !== task.id || !isFresh || view.now >= (this.#reservation?.at ?? Infinity)) {
      this.#reservedAt = this.#ends.changes
      this.#reservedFor = task.id
      this.#reservation = this.#ends.reserve(task, view)
    }
    const found = this.#reservation
    return found !== undefined && this.#affords(found, view) ? found : undefined
  }

  /** Something is refused the node for the reservation's sake: what is free there stands idle, and is paid for until `pay` is called. */
  refused(node: NodeView, now: number): void {
    this.#idle = { since: now, width: idleOn(node) }
  }

  /** Pays for what has stood idle until now. */
  pay(now: number): void {
    if (this.#idle === undefined) return
    this.#credit -= this.#idle.width * Math.max(0, now - this.#idle.since)
    this.#idle = undefined
    if (this.#credit <= 0) this.#brokeFor = this.#reservedFor
  }

  /**
   * When time alone lets go of what stands idle, if nothing else happens: the reservation's time has come, or the credit is gone. Infinity
   * while nothing does. It lies after the moment of the last `pay`, so that asking again makes a difference.
   */
  get idleUntil(): number {
    if (this.#idle === undefined) return Infinity
    const { since, width } = this.#idle
    // In whole milliseconds, at the end of which no credit is left whatever was rounded.
    const paidUntil = width > 0 ? Math.floor(since + this.#credit / width) + 1 : Infinity
    const { at = Infinity } = this.#reservation ?? {}
    // What could be had now and is not taken is reserved anew with every question: only the credit's end changes anything.
    return at > since ? Math.min(at, paidUntil) : paidUntil
  }

  get #meanArea(): number {
    return this.#areaSum / this.#weight
  }

  #affords({ taskId, node, at }: Reservation, view: ClusterView): boolean {
    if (taskId !== this.#brokeFor || this.#credit >= NEXT_TRY * this.#meanArea) return true
    const host = view.node(node)
    return host !== undefined && idleOn(host) * (at - view.now) <= this.#credit
  }
}
