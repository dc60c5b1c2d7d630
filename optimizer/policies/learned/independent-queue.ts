/**
 * Tasks without dependencies, waiting: the part of the learned policy that orders them. Several DAGs' policy can hold one of
 * these beside its groups; `independent.ts` makes a whole policy of it.
 *
 * Larger `priority` first, then least predicted area (`burst-order.ts`). Bursts move while tasks wait, as siblings finish and as siblings
 * outlive expectations.
 *
 * 1. A share of the capacity is served in order of arrival (`arrival-share.ts`), and room is held for the first in order while it is short
 *    (`head-room.ts`).
 * 2. Work-conserving but for those reservations. Decisions cost O(shapes), but where room is to be held (`held-room.ts`); updates O(log bursts).
 * 3. Tasks that no node could run wait until nodes change, in nobody's way: each shape is asked about once until then.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import { timestampMs } from '../../../base/units.ts'
import type { TimestampMs } from '../../../base/units.ts'
import type { AttemptFeedback, ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../../estimate.ts'
import { hasRun } from '../../estimator/failures.ts'
import { EventHeap } from '../../sim/event-heap.ts'
import { ClassQueues } from '../class-queues.ts'
import type { Head, Shape } from '../class-queues.ts'
import { freedSince } from '../freed-nodes.ts'
import { isPlaceable, takesAny } from '../node-rules.ts'
import { capacityOf, widthOf } from '../width.ts'
import { ArrivalShare } from './arrival-share.ts'
import type { ArrivalShareOptions } from './arrival-share.ts'
import { areaOf, scoreOf } from './burst-order.ts'
import { beliefOf, Bursts } from './bursts.ts'
import type { Burst, BurstEstimate } from './bursts.ts'
import { HeadRoom } from './head-room.ts'
import type { HeadRoomOptions } from './head-room.ts'
import type { HeldRoom } from './held-room.ts'
import type { LnBelief } from './newcomers.ts'
import { chooseNode } from './node-choice.ts'
import { slownessOf } from './node-speeds.ts'
import { allows, ExpectedEnds, none, once } from './reservation.ts'
import type { Reserve } from './reservation.ts'

export interface IndependentOptions extends ArrivalShareOptions, HeadRoomOptions {}

/** The queue's next placement, and what others compare it by. */
export interface Candidate {
  readonly taskId: TaskId
  readonly node: NodeId
  readonly priority: number
  /** Predicted run time × width, in slot-milliseconds; 0 for a task that is owed its place (rule 1). */
  readonly areaMs: number
}

/** A burst is looked at again when its oldest attempt's age has grown by this factor. */
const GROWTH = 1.3
const SOONEST_MS = 10
/**
 * Bursts that are scored anew in one call, whatever it is about: a completion can move hundreds, and nobody who calls must wait for
 * more than so many of the estimator's answers. Four in decisions alone order no better, and make the slowest three times as slow.
 */
const REFRESHED_A_CALL = 1
const FREED_REMEMBERED = 4096

export class IndependentQueue {
  readonly #estimator: Estimator
  readonly #bursts = new Bursts()
  readonly #ends = new ExpectedEnds()
  readonly #share: ArrivalShare
  readonly #head: HeadRoom
  readonly #due = new EventHeap<number>()
  /** Bursts whose class's prediction changed, to be looked at soon. */
  readonly #moved = new Set<Burst>()
  #queues: ClassQueues
  #view: ClusterView | undefined
  /** The estimator's opinions during one call, by class: many bursts of a class may wait for what one completion says of them. */
  readonly #opinions = new Map<ClassKey, LnBelief>()
  /** Nodes that were freed, in order; shapes remember how far they have tried. */
  #freed: NodeId[] = []
  #candidate: Candidate | undefined
  /** The owed task that fits nowhere now, and how much had been freed when it was tried. */
  #tried: { id: TaskId; freed: number } | undefined
  #capacity = capacityOf([])
  /** Whether nodes are of several hardware classes. */
  #isMixed = false
  /** Shapes whose first task would delay this reservation; void after any change. */
  readonly #held = new Set<Shape>()
  #heldFor: ReturnType<Reserve>
  readonly #isOpen = (shape: Shape): boolean =>
    shape.triedUpTo < this.#freed.length && shape.placeable !== false && !this.#held.has(shape)
  readonly #isPlaceable = (id: TaskId): boolean => this.#queues.shapeOf(id)?.placeable !== false

  constructor(estimator: Estimator, options: IndependentOptions = {}) {
    this.#estimator = estimator
    this.#share = new ArrivalShare(this.#ends, options)
    this.#head = new HeadRoom(this.#ends, options)
    this.#queues = this.#emptyQueues()
  }

  /** Whether something waits that some node could run (rule 3). */
  get wantsRoom(): boolean {
    for (const { placeable } of this.#queues.shapes()) if (placeable !== false) return true
    return false
  }

  /** Forgets all tasks. The caller then tells of those that run (`resume`) and wait (`add`). */
  reset(view: ClusterView): void {
    this.#bursts.clear()
    this.#ends.clear()
    this.#share.clear()
    this.#head.room.clear()
    this.#moved.clear()
    this.#queues = this.#emptyQueues()
    this.#candidate = undefined
    this.nodesChanged(view)
  }

  /** An attempt of one of this queue's tasks runs already. */
  resume(task: TaskView, node: NodeId, placedAt: number, view: ClusterView): void {
    this.#hear(view)
    const burst = this.#bursts.ready(task, this.#estimator.classOf(task), widthOf(task, this.#capacity))
    this.#bursts.started(task.id, placedAt)
    this.#ends.began(task, node, placedAt, this.#estimate(burst, task).meanMs)
    this.#watch(burst, view.now)
  }

  add(task: TaskView, view: ClusterView): void {
    this.#hear(view)
    const burst = this.#bursts.ready(task, this.#estimator.classOf(task), widthOf(task, this.#capacity))
    const shape = this.#queues.add(task, burst.id)
    shape.placeable ??= isPlaceable(task, view)
    this.#ends.ended(task.id)
    this.#share.ready(task)
    this.#held.clear()
    this.#catchUp()
  }

  /** A task waits no longer: it was placed as `peek` proposed, or withdrawn. */
  gone(id: TaskId, view: ClusterView): void {
    if (!this.#queues.has(id)) return
    this.#hear(view)
    const task = this.#candidate?.taskId === id ? view.task(id) : undefined
    if (task === undefined) {
      this.#held.clear()
      this.#queues.remove(id)
      this.#bursts.withdrawn(id)
      this.#share.gone(id)
    } else this.#begun(task, this.#candidate?.node ?? (0 as NodeId), view)
    this.#candidate = undefined
    this.#catchUp()
  }

  /** An attempt is over, of one of this queue's tasks or of another. The estimator has heard of it. */
  ended({ task, node, end, runMs }: AttemptFeedback, view: ClusterView): void {
    this.#hear(view)
    this.freed(node)
    this.#ends.ended(task.id)
    // Ends of tasks that are not this queue's free room too; their nodes' factors would be asked for in vain.
    if (this.#bursts.of(task.id) === undefined) return
    const slowness = (): number => slownessOf(task, view.node(node), this.#estimator, this.#isMixed)
    const typicalMs = hasRun(end) ? runMs / slowness() : undefined
    const burst = this.#bursts.ended(task.id, typicalMs)
    if (burst === undefined) return
    this.#queues.rescore(burst.id)
    for (const sibling of this.#bursts.ofClass(burst.classKey)) this.#refresh(sibling)
    this.#catchUp()
  }

  /** The task is over. Where it was cancelled with a placement in flight, no attempt has ended to say so. */
  finished(id: TaskId, view: ClusterView): void {
    if (this.#bursts.of(id)?.running.has(id) !== true) return
    this.#hear(view)
    this.#ends.ended(id)
    const burst = this.#bursts.ended(id, undefined)
    if (burst !== undefined) this.#queues.rescore(burst.id)
  }

  /** Room appeared on a node. */
  freed(node: NodeId): void {
    this.#freed.push(node)
    this.#held.clear()
    if (this.#freed.length > FREED_REMEMBERED) this.#retryAll()
  }

  nodesChanged(view: ClusterView): void {
    this.#capacity = capacityOf(view.nodes())
    this.#isMixed = new Set(view.nodes().map(({ profile }) => profile)).size > 1
    this.#share.nodesChanged()
    this.#head.room.nodesChanged()
    for (const shape of this.#queues.shapes()) {
      const head = this.#queues.head(shape)
      const task = head === undefined ? undefined : view.task(head.taskId)
      shape.placeable = task === undefined || isPlaceable(task, view)
    }
    this.#held.clear()
    this.#retryAll()
  }

  /** Time has passed; `moved` are classes whose predictions changed. */
  advance(view: ClusterView, moved: Iterable<string | number>): void {
    this.#hear(view)
    const { now } = view
    for (const key of moved) {
      for (const burst of this.#bursts.ofClass(key)) if (burst.waiting > 0) this.#moved.add(burst)
    }
    this.#catchUp()
    while (this.#due.nextTime <= now) {
      const burst = this.#bursts.get(this.#due.pop() ?? 0)
      if (burst === undefined || burst.dueAt > now) continue
      burst.dueAt = Infinity
      if (burst.waiting > 0) this.#queues.rescore(burst.id)
      this.#watch(burst, now)
    }
  }

  /** The best task that can be placed now, and where. Changes nothing that the caller can see. */
  peek(view: ClusterView): Candidate | undefined {
    this.#hear(view)
    this.#candidate = undefined
    this.#head.room.pay(view.now)
    const owed = this.#share.owed(view, this.#isPlaceable)
    if (this.#queues.size === 0) return undefined
    const placed = owed === undefined ? undefined : this.#placeOwed(owed, view)
    if (placed !== undefined) return placed
    const reservation = owed === undefined ? undefined : this.#share.room.reserve(owed, view)
    if (reservation === undefined) return this.#inOrder(view)
    return this.#around(() => reservation, this.#share.room, view)
  }

  /** When time alone may let something go that is held back for a reservation; undefined for when something changes. */
  wakeAt(): TimestampMs | undefined {
    const at = Math.min(this.#share.room.idleUntil, this.#head.room.idleUntil)
    // An estimator gone wrong is no reason to be woken at no time at all.
    return at < Infinity ? timestampMs(Math.ceil(at)) : undefined
  }

  #placeOwed(task: TaskView, view: ClusterView): Candidate | undefined {
    // Where it did not fit it does not fit now, unless something was freed.
    if (this.#tried?.id === task.id && this.#tried.freed === this.#freed.length) return undefined
    const node = chooseNode(task, view.nodes(), view, this.#estimator, anywhere)
    if (node === undefined) {
      this.#tried = { id: task.id, freed: this.#freed.length }
      return undefined
    }
    this.#tried = undefined
    this.#candidate = { taskId: task.id, node: node.id, priority: task.priority, areaMs: 0 }
    return this.#candidate
  }

  /** The first in order; where it fits nowhere, what may pass it. */
  #inOrder(view: ClusterView): Candidate | undefined {
    const first = this.#queues.best(({ placeable }) => placeable !== false)
    if (first === undefined) return undefined
    if (first.shape.triedUpTo < this.#freed.length) {
      this.#held.delete(first.shape)
      const placed = this.#placed(first, none, view)
      if (placed !== undefined) return placed
    }
    const task = view.task(first.taskId)
    const burst = this.#bursts.of(first.taskId)
    const reserve = once(() => task && burst && this.#head.reserve(task, this.#estimate(burst, task), view))
    return this.#around(reserve, this.#head.room, view)
  }

  /**
   * The first in order of what may be placed in spite of the reservation. That is asked for only where something fits, or is held back
   * already: on a full cluster each decision has another first in order, and a reservation costs as much as there are attempts.
   */
  #around(reserve: Reserve, room: HeldRoom, view: ClusterView): Candidate | undefined {
    const holding: Reserve = () => {
      const reservation = reserve()
      if (reservation !== this.#heldFor) this.#held.clear()
      this.#heldFor = reservation
      return reservation
    }
    if (this.#held.size > 0) holding()
    const best = this.#queues.offer(this.#isOpen, (head) => this.#placed(head, holding, view))
    const host = this.#held.size > 0 && this.#heldFor && view.node(this.#heldFor.node)
    if (host) room.refused(host, view.now)
    return best
  }

  /** Where the head of a shape goes now; the shape is closed where it goes nowhere, and a task that is gone is removed. */
  #placed({ shape, taskId, score }: Head, reserve: Reserve, view: ClusterView): Candidate | undefined {
    const task = view.task(taskId)
    const burst = this.#bursts.of(taskId)
    if (task === undefined || burst === undefined) {
      this.#queues.remove(taskId)
      this.#bursts.withdrawn(taskId)
      this.#share.gone(taskId)
      return undefined
    }
    const node = this.#nodeFor(task, burst, shape, reserve, view)
    if (node !== undefined) {
      const areaMs = areaOf(score, task.priority)
      this.#candidate = { taskId, node: node.id, priority: task.priority, areaMs }
      return this.#candidate
    }
    if (!this.#held.has(shape)) shape.triedUpTo = this.#freed.length
    return undefined
  }

  /** The node for the shape's first task. Where the reservation forbids one, the shape is held back. */
  #nodeFor(
    task: TaskView,
    burst: Burst,
    shape: Shape,
    reserve: Reserve,
    view: ClusterView
  ): NodeView | undefined {
    const candidates = freedSince(this.#freed, shape.triedUpTo, view)
    // Most shapes fit nowhere: they are not to cost more than that.
    if (!takesAny(task, candidates, view)) return undefined
    const endsAt = once(() => view.now + this.#estimate(burst, task).meanMs)
    const node = chooseNode(task, candidates, view, this.#estimator, (candidate) => {
      const reservation = reserve()
      if (reservation === undefined || allows(reservation, task, candidate, endsAt())) return true
      this.#held.add(shape)
      return false
    })
    if (node !== undefined) this.#held.delete(shape)
    return node
  }

  #begun(task: TaskView, node: NodeId, view: ClusterView): void {
    const burst = this.#bursts.started(task.id, view.now)
    this.#queues.remove(task.id)
    if (burst === undefined) return
    const { meanMs } = this.#estimate(burst, task)
    const area = meanMs * burst.width
    this.#ends.began(task, node, view.now, meanMs)
    for (const { room } of [this.#share, this.#head]) room.placed(task, node, view.now + meanMs)
    this.#share.started(task.id, meanMs, area)
    this.#head.began(meanMs, area)
    if (burst.waiting > 0) this.#queues.rescore(burst.id)
    this.#watch(burst, view.now)
  }

  /** Has the burst looked at again when those of it that run have become news. */
  #watch(burst: Burst, now: number): void {
    if (burst.dueAt !== Infinity || burst.waiting === 0) return
    for (const since of burst.running.values()) {
      burst.dueAt = Math.max(now + SOONEST_MS, since + (now - since) * GROWTH)
      this.#due.push(burst.dueAt, burst.id)
      return
    }
  }

  /** The estimator's opinion of the burst's class has changed. */
  #refresh(burst: Burst): void {
    if (burst.completions > 0 && burst.priorVariance > 0) return
    burst.stale = true
    if (burst.waiting > 0) this.#queues.rescore(burst.id)
  }

  /** Scores some of the bursts anew whose class's prediction changed. */
  #catchUp(): void {
    let refreshed = 0
    for (const burst of this.#moved) {
      if (++refreshed > REFRESHED_A_CALL) return
      this.#moved.delete(burst)
      this.#refresh(burst)
    }
  }

  #estimate(burst: Burst, task: TaskView): BurstEstimate {
    return this.#bursts.estimate(burst, this.#view?.now ?? 0, () => this.#opinion(burst, task))
  }

  /** A task that was not asked about before is: estimators may hold themselves to what they say of it. */
  #opinion(burst: Burst, task: TaskView): LnBelief {
    const known = burst.askedAbout === task.id ? this.#opinions.get(burst.classKey) : undefined
    if (known !== undefined) return known
    burst.askedAbout = task.id
    const opinion = beliefOf(this.#estimator.predict(task))
    this.#opinions.set(burst.classKey, opinion)
    return opinion
  }

  /** A call begins, before which the estimator may have learned something. */
  #hear(view: ClusterView): void {
    this.#view = view
    // Clearing an empty map makes it anew.
    if (this.#opinions.size > 0) this.#opinions.clear()
  }

  #retryAll(): void {
    this.#freed = []
    this.#tried = undefined
    for (const shape of this.#queues.shapes()) shape.triedUpTo = -1
  }

  #emptyQueues(): ClassQueues {
    return new ClassQueues((key, head) => {
      const burst = this.#bursts.get(Number(key))
      const task = this.#view?.task(head)
      return burst === undefined || task === undefined ? 0 : scoreOf(burst, this.#estimate(burst, task))
    })
  }
}

function anywhere(): boolean {
  return true
}
