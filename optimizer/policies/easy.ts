/**
 * EASY backfilling and its descendants (Mu'alem & Feitelson, IEEE TPDS 2001; Tsafrir, Etsion & Feitelson, IEEE TPDS
 * 2007). The first task in order of arrival gets a reservation: the earliest time at which it will fit if running tasks
 * end as expected. Others may pass it as long as they do not delay that reservation.
 *
 * - EASY: expected ends are the users' limits, backfilling in order of arrival.
 * - EASY-SJBF: the same, backfilling shortest first.
 * - EASY++: expected ends are predictions, corrected upward when a task outlives its own, backfilling shortest first.
 *
 * 1. A prediction is made when the task becomes ready and kept; only an outlived one is raised (Tsafrir §5).
 * 2. On several nodes the reservation is on the node where the first task fits earliest; elsewhere backfilling is free.
 * 3. Tasks that no node could run are passed over until nodes change, or nobody behind them would ever have a reservation.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import { timestampMs } from '../../base/units.ts'
import type { TimestampMs } from '../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  NodeView,
  PlacementChoice,
  Policy,
  TaskView
} from '../../scheduler/policy.ts'
import type { Resources } from '../../scheduler/types.ts'
import type { Estimator } from '../estimate.ts'
import { firstFit, isPlaceable, takes } from './node-rules.ts'
import { add, covers } from './amounts.ts'

export interface EasyOptions {
  readonly name: string
  readonly estimator: Estimator
  /** Whether backfilling goes shortest first rather than in order of arrival. */
  readonly shortestFirst: boolean
}

/** EASY with this estimator for expected ends. */
export function easy(options: EasyOptions): Policy {
  return new Easy(options)
}

interface Waiting {
  readonly id: TaskId
  readonly expectedMs: number
  gone: boolean
}

interface Running {
  readonly node: NodeId
  readonly resources: Resources
  readonly placedAt: number
  endsAt: number
  corrections: number
}

interface Reservation {
  readonly node: NodeView
  readonly at: number
  /** What the node will have to spare at that time, beyond the first task's need. */
  readonly spare: Resources
  readonly spareSlots: number
}

/** Added in turn to a prediction that was outlived: 1, 5, 15, 30 min, 1, 2, 5, 10, 20, 50, 100 h (Tsafrir §5.2). */
const CORRECTIONS_MS = [1, 5, 15, 30, 60, 120, 300, 600, 1200, 3000, 6000].map((minutes) => minutes * 60_000)

class Easy implements Policy {
  readonly name: string
  readonly #estimator: Estimator
  readonly #shortestFirst: boolean
  #queue: Waiting[] = []
  #head = 0
  /** Index of the first that some node could run, or before it. */
  #first = 0
  /** The last that was found there. */
  #placeable: Waiting | undefined
  /** Backfilling order; the same objects as `#queue`. */
  #candidates: Waiting[] = []
  readonly #waiting = new Map<TaskId, Waiting>()
  readonly #running = new Map<TaskId, Running>()
  /** Where the scan for a task to backfill goes on; 0 after any change that can let an earlier one in. */
  #cursor = 0

  constructor(options: EasyOptions) {
    this.name = options.name
    this.#estimator = options.estimator
    this.#shortestFirst = options.shortestFirst
  }

  reset(view: ClusterView): void {
    this.#queue = []
    this.#head = 0
    this.onNodesChanged()
    this.#candidates = []
    this.#waiting.clear()
    this.#running.clear()
    for (const attempt of view.running()) {
      const task = view.task(attempt.taskId)
      if (task !== undefined) this.#started(task, attempt.node, attempt.placedAt)
    }
    for (const task of view.ready()) this.onReady(task)
  }

  onReady(task: TaskView): void {
    // It was placed, and the placement was refused: it holds nothing that others could wait for.
    this.#running.delete(task.id)
    const entry = { id: task.id, expectedMs: this.#estimator.predict(task).meanMs, gone: false }
    this.#waiting.set(task.id, entry)
    this.#queue.push(entry)
    this.#candidates.splice(this.#position(entry), 0, entry)
    this.#cursor = 0
  }

  onGone(taskId: TaskId): void {
    const entry = this.#waiting.get(taskId)
    if (entry === undefined) return
    entry.gone = true
    this.#waiting.delete(taskId)
    while (this.#queue[this.#head]?.gone === true) this.#head++
    if (this.#queue.length > 256 + 2 * this.#waiting.size) {
      this.#queue = this.#queue.filter((waiting) => !waiting.gone)
      this.#head = 0
      this.#first = 0
    }
    if (this.#candidates.length > 64 && this.#candidates.length > 2 * this.#waiting.size) {
      this.#candidates = this.#candidates.filter((candidate) => !candidate.gone)
      this.#cursor = 0
    }
  }

  onEnded(feedback: AttemptFeedback): void {
    this.#running.delete(feedback.task.id)
    this.#estimator.observe(feedback)
    this.#cursor = 0
  }

  onNodesChanged(): void {
    this.#cursor = 0
    this.#first = 0
    this.#placeable = undefined
  }

  next(view: ClusterView): PlacementChoice | undefined {
    const task = this.#earliest(view)
    if (task === undefined) return undefined
    const node = firstFit(task, view.nodes(), view)
    const choice = node === undefined ? this.#backfill(task, view) : { taskId: task.id, node: node.id }
    if (choice === undefined) return undefined
    const placed = view.task(choice.taskId)
    if (placed !== undefined) this.#started(placed, choice.node, view.now)
    return choice
  }

  /** When an attempt is expected to end, while a task waits for that: only then is what was outlived raised. */
  wakeAt(): TimestampMs | undefined {
    if (this.#first >= this.#queue.length) return undefined
    let earliest = Infinity
    for (const running of this.#running.values()) earliest = Math.min(earliest, running.endsAt)
    return earliest === Infinity ? undefined : timestampMs(earliest)
  }

  /** Rule 3. */
  #earliest(view: ClusterView): TaskView | undefined {
    this.#first = Math.max(this.#first, this.#head)
    for (; this.#first < this.#queue.length; this.#first++) {
      const entry = this.#queue[this.#first]
      const task = entry === undefined || entry.gone ? undefined : view.task(entry.id)
      if (task === undefined) continue
      if (entry !== this.#placeable && !isPlaceable(task, view)) continue
      this.#placeable = entry
      return task
    }
    return undefined
  }

  #started(task: TaskView, node: NodeId, placedAt: number): void {
    const expectedMs = this.#waiting.get(task.id)?.expectedMs ?? this.#estimator.predict(task).meanMs
    this.#running.set(task.id, {
      node,
      resources: task.resources,
      placedAt,
      endsAt: placedAt + expectedMs,
      corrections: 0
    })
  }

  /** Where the entry belongs in the backfilling order. */
  #position(entry: Waiting): number {
    if (!this.#shortestFirst) return this.#candidates.length
    let low = 0
    let high = this.#candidates.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#candidates[middle]?.expectedMs ?? 0) <= entry.expectedMs) low = middle + 1
      else high = middle
    }
    return low
  }

  #backfill(head: TaskView, view: ClusterView): PlacementChoice | undefined {
    if (this.#correct(view.now)) this.#cursor = 0
    const reservation = this.#reserve(head, view)
    for (; this.#cursor < this.#candidates.length; this.#cursor++) {
      const entry = this.#candidates[this.#cursor]
      if (entry === undefined || entry.gone || entry.id === head.id) continue
      const task = view.task(entry.id)
      if (task === undefined) continue
      const node = view
        .nodes()
        .find(
          (other) => takes(task, other, view) && passes(task, other, view.now + entry.expectedMs, reservation)
        )
      if (node !== undefined) return { taskId: task.id, node: node.id }
    }
    return undefined
  }

  /** Raises predictions that were outlived; whether there were any. */
  #correct(now: number): boolean {
    let raised = false
    for (const running of this.#running.values()) {
      while (running.endsAt <= now) {
        const last = CORRECTIONS_MS.length - 1
        running.endsAt += CORRECTIONS_MS[Math.min(running.corrections++, last)] ?? 0
        raised = true
      }
    }
    return raised
  }

  #reserve(head: TaskView, view: ClusterView): Reservation | undefined {
    let best: Reservation | undefined
    for (const node of view.nodes()) {
      if (!view.eligible(head, node)) continue
      const reservation = this.#reserveOn(head, node, view.now)
      if (reservation !== undefined && (best === undefined || reservation.at < best.at)) best = reservation
    }
    return best
  }

  #reserveOn(head: TaskView, node: NodeView, now: number): Reservation | undefined {
    const ends = [...this.#running.values()].filter((running) => running.node === node.id)
    ends.sort((a, b) => a.endsAt - b.endsAt)
    const left: Record<string, number> = {}
    for (const name in node.resources) left[name] = node.free(name)
    let slots = node.freeSlots
    let at = now
    for (const running of ends) {
      // Others that end at that very time could be counted as spare as well; the published figures are those of not counting them.
      if (slots >= 1 && covers(left, head.resources)) break
      at = Math.max(at, running.endsAt)
      slots++
      add(left, running.resources, 1)
    }
    if (slots < 1 || !covers(left, head.resources)) return undefined
    add(left, head.resources, -1)
    return { node, at, spare: left, spareSlots: slots - 1 }
  }
}

/** Whether the task, started now on the node, leaves the reservation as it is. */
function passes(
  task: TaskView,
  node: NodeView,
  endsAt: number,
  reservation: Reservation | undefined
): boolean {
  if (reservation === undefined || reservation.node.id !== node.id || endsAt <= reservation.at) return true
  return reservation.spareSlots >= 1 && covers(reservation.spare, task.resources)
}
