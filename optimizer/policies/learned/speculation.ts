/**
 * Copies of attempts that take suspiciously long (Dean & Ghemawat, "MapReduce", OSDI 2004, §3.6; Zaharia et al., "LATE", OSDI 2008): an
 * idempotent task that runs gets a second attempt on another node when that one is all but sure to finish first.
 *
 * 1. Only for capacity that no waiting task wants; at most one copy a task, and copies on at most `BUDGET` of the slots.
 * 2. A copy is made when P(time left > a fresh run's median there + overhead | it has run for so long) > `CONFIDENCE`.
 * 3. An attempt that has outlived the p95 of its prediction is looked at, and again after each half of its age. The prediction is asked for
 *    anew as it ages, since what was unknown when it began may be known by now.
 * 4. Predicted from is what attempts took that are over (`predictFresh`). One that runs is evidence of a longer class as well, and the
 *    longer it hangs the more: the p95 would run ahead of the very attempt that it judges, for ever.
 * 5. An attempt whose copy ended before the task did is looked at again like one that never had any.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import { timestampMs } from '../../../base/units.ts'
import type { TimestampMs } from '../../../base/units.ts'
import type { ClusterView, NodeView, PlacementChoice, TaskView } from '../../../scheduler/policy.ts'
import type { Estimator, Prediction } from '../../estimate.ts'
import { EventHeap } from '../../sim/event-heap.ts'
import { takes } from '../node-rules.ts'

const BUDGET = 0.05
const CONFIDENCE = 0.9
const LATE_QUANTILE = 0.95
const AGAIN = 1.5
/** Age at which a prediction is asked for anew at the latest. */
const FIRST_LOOK_MS = 1000
/** What starting a copy costs beside its run. */
const OVERHEAD_MS = 100
/** An attempt that has outlived all but so much of its distribution is judged by the mean time left. */
const TAIL = 0.01
const STEPS = 14

/** So many attempts that are over may be kept beside as many as run. */
const SLACK = 64

interface Watched {
  readonly id: TaskId
  readonly node: NodeId
  readonly at: number
  /** Attempts that are due together are looked at in the order in which they were heard of. */
  readonly order: number
  lookAt: number
}

export class Speculation {
  readonly #estimator: Estimator
  readonly #watched = new Map<TaskId, Watched>()
  /** Where copies run, or will. */
  readonly #copies = new Map<TaskId, NodeId>()
  /** Those of `#watched` without a copy, by when to look, among some that are over. */
  #later = new EventHeap<Watched>()
  /** Those of them that it was time for, by order, before they were looked at. */
  #due = new EventHeap<Watched>()
  #order = 0

  constructor(estimator: Estimator) {
    this.#estimator = estimator
  }

  reset(): void {
    this.#watched.clear()
    this.#copies.clear()
    this.#sort()
  }

  /** Attempts that are kept by time, also such as are over: what memory grows with. */
  get kept(): number {
    return this.#later.size + this.#due.size
  }

  /** An attempt began, or runs already. */
  started(task: TaskView, node: NodeId, at: number, view: ClusterView): void {
    if (!task.idempotent) return
    const host = view.node(node)
    const lateMs = this.#fresh(task, host).quantileMs(LATE_QUANTILE)
    // An estimator gone wrong is no reason to be woken at no time at all.
    if (!Number.isFinite(lateMs)) return
    const watched = {
      id: task.id,
      node,
      at,
      order: this.#order++,
      lookAt: at + Math.min(lateMs, FIRST_LOOK_MS)
    }
    this.#watched.set(task.id, watched)
    this.#later.push(watched.lookAt, watched)
    if (this.kept > 2 * this.#watched.size + SLACK) this.#sort()
  }

  /** A reign begins with these copies of attempts that it has heard of. */
  resume(copies: readonly PlacementChoice[]): void {
    for (const { taskId, node } of copies) this.#copies.set(taskId, node)
    if (copies.length > 0) this.#sort()
  }

  /** Somebody else copied the task. */
  copied(id: TaskId): void {
    this.#watched.delete(id)
  }

  /** There is no copy, mostly because the attempt itself had not been placed yet: it is looked at again later. */
  notCopied(id: TaskId): void {
    const watched = this.#watched.get(id)
    if (this.#copies.delete(id) && watched !== undefined) this.#later.push(watched.lookAt, watched)
  }

  /** The attempt on this node is over. */
  ended(id: TaskId, node: NodeId): void {
    if (this.#watched.get(id)?.node === node) this.#watched.delete(id)
    else if (this.#copies.get(id) === node) this.notCopied(id)
  }

  /** The task runs no more: it is done, or waits again. */
  over(id: TaskId): void {
    this.#watched.delete(id)
    this.#copies.delete(id)
  }

  /** A task to copy and where. To be asked only when nothing waits. Costs what is due. */
  peek(view: ClusterView): PlacementChoice | undefined {
    if (view.now < this.#lookAt || !this.#mayCopy(view)) return undefined
    this.#findDue(view.now)
    for (let watched = this.#due.pop(); watched !== undefined; watched = this.#due.pop()) {
      if (!this.#isWatched(watched)) continue
      const { id, at } = watched
      const task = view.task(id)
      const node = task === undefined ? undefined : this.#betterNode(task, watched, view)
      watched.lookAt = view.now + Math.max(1, (AGAIN - 1) * (view.now - at))
      if (node !== undefined) {
        this.#copies.set(id, node.id)
        return { taskId: id, node: node.id }
      }
      this.#later.push(watched.lookAt, watched)
    }
    return undefined
  }

  /** When to ask again, which may be now; undefined for when something changes. */
  wakeAt(view: ClusterView): TimestampMs | undefined {
    // What keeps it from copying ends with an event, which wakes the policy by itself.
    const lookAt = this.#lookAt
    if (lookAt === Infinity || !this.#mayCopy(view) || !view.nodes().some(hasRoom)) return undefined
    return timestampMs(Math.ceil(Math.max(lookAt, view.now)))
  }

  get #lookAt(): number {
    return this.#due.size > 0 ? -Infinity : this.#later.nextTime
  }

  #isWatched(watched: Watched): boolean {
    return this.#watched.get(watched.id) === watched
  }

  /** Moves what it is time for from one heap to the other, and forgets what is over up to the next that runs. */
  #findDue(now: number): void {
    for (let watched = this.#later.pop(); watched !== undefined; watched = this.#later.pop()) {
      if (!this.#isWatched(watched)) continue
      if (watched.lookAt > now) {
        this.#later.push(watched.lookAt, watched)
        return
      }
      this.#due.push(watched.order, watched)
    }
  }

  /** Fills the heaps with what runs, and nothing else. */
  #sort(): void {
    this.#later = new EventHeap()
    this.#due = new EventHeap()
    for (const watched of this.#watched.values())
      if (!this.#copies.has(watched.id)) this.#later.push(watched.lookAt, watched)
  }

  /** Rule 4. */
  #fresh(task: TaskView, node: NodeView | undefined): Prediction {
    return this.#estimator.predictFresh?.(task, node) ?? this.#estimator.predict(task, node)
  }

  #mayCopy(view: ClusterView): boolean {
    const nodes = view.nodes()
    const slots = nodes.reduce((sum, node) => sum + node.slots, 0)
    return nodes.length > 1 && this.#copies.size < Math.max(1, Math.floor(slots * BUDGET))
  }

  #betterNode(task: TaskView, { node, at }: Watched, view: ClusterView): NodeView | undefined {
    const elapsedMs = view.now - at
    const host = view.node(node)
    if (elapsedMs < this.#fresh(task, host).quantileMs(LATE_QUANTILE)) return undefined
    let best: NodeView | undefined
    let bestMs = Infinity
    for (const other of view.nodes()) {
      if (other.id === node || other.id === task.lastFailedOn || !takes(task, other, view)) continue
      const ms = this.#fresh(task, other).medianMs
      if (ms < bestMs) {
        best = other
        bestMs = ms
      }
    }
    if (best === undefined) return undefined
    // Asked again: a prediction holds until the next question.
    return isSlower(this.#fresh(task, host), elapsedMs, bestMs + OVERHEAD_MS) ? best : undefined
  }
}

function hasRoom({ freeSlots }: NodeView): boolean {
  return freeSlots > 0
}

/** Rule 2: whether what has run for `elapsedMs` is all but sure to take longer than `freshMs` from now. */
export function isSlower(prediction: Prediction, elapsedMs: number, freshMs: number): boolean {
  const alive = 1 - levelOf(prediction, elapsedMs)
  if (alive < TAIL) return prediction.remainingMs(elapsedMs) > freshMs
  return (1 - levelOf(prediction, elapsedMs + freshMs)) / alive > CONFIDENCE
}

/** The largest q with quantile(q) ≤ ms, by bisection. */
export function levelOf(prediction: Prediction, ms: number): number {
  let low = 0
  let high = 1
  for (let step = 0; step < STEPS; step++) {
    const middle = (low + high) / 2
    if (prediction.quantileMs(middle) <= ms) low = middle
    else high = middle
  }
  return low
}
