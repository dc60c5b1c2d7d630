/**
 * LATE speculation over any policy (Zaharia et al., "Improving MapReduce Performance in Heterogeneous Environments",
 * OSDI 2008, §4): when nothing else is to be placed, the running task with the longest predicted time to its end gets a
 * copy, provided that its progress rate is in the slowest quarter and no more than a tenth of the slots run copies.
 *
 * Progress is what nodes report; here a source of it is passed in. Nodes report none today, so this policy is for the lab, where reports
 * are exact (`simProgress`): with steady speeds LATE knows from its second on when an attempt will end. Real reports are coarser.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type {
  AttemptFeedback,
  ClusterView,
  PlacementChoice,
  Policy,
  RunningView,
  TaskView
} from '../../scheduler/policy.ts'
import type { TimestampMs } from '../../base/units.ts'
import { timestampMs } from '../../base/units.ts'
import { firstFit } from './node-rules.ts'

/** Progress of a live attempt in [0, 1]; undefined when unknown. */
export type ProgressOf = (attempt: RunningView, now: number) => number | undefined

const SLOW_QUANTILE = 0.25
const SPECULATIVE_CAP = 0.1
/** A rate is not judged before the attempt has run for a while. */
const MIN_RUN_MS = 1000
const CHECK_EVERY_MS = 1000

interface Candidate {
  readonly task: TaskView
  readonly node: NodeId
  readonly rate: number
  readonly leftMs: number
}

/** The inner policy with LATE's speculation. */
export function late(inner: Policy, progressOf: ProgressOf): Policy {
  return new Late(inner, progressOf)
}

class Late implements Policy {
  readonly name: string
  readonly #inner: Policy
  readonly #progressOf: ProgressOf
  readonly #copied = new Map<TaskId, number>()

  constructor(inner: Policy, progressOf: ProgressOf) {
    this.name = `${inner.name}+late`
    this.#inner = inner
    this.#progressOf = progressOf
  }

  reset(view: ClusterView): void {
    this.#copied.clear()
    this.#inner.reset(view)
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#inner.onReady(task, view)
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    this.#inner.onGone(taskId, view)
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    this.#inner.onEnded?.(feedback, view)
  }

  onFinished(taskId: TaskId, view: ClusterView): void {
    this.#copied.delete(taskId)
    this.#inner.onFinished?.(taskId, view)
  }

  onNodesChanged(view: ClusterView): void {
    this.#inner.onNodesChanged?.(view)
  }

  next(view: ClusterView): PlacementChoice | undefined {
    return this.#inner.next(view) ?? this.#speculate(view)
  }

  wakeAt(view: ClusterView): TimestampMs | undefined {
    const inner = this.#inner.wakeAt?.(view)
    const open = view.nodes().some((node) => node.freeSlots > 0)
    const running = !view.running()[Symbol.iterator]().next().done
    if (!open || !running) return inner
    return timestampMs(Math.min(inner ?? Infinity, view.now + CHECK_EVERY_MS))
  }

  #speculate(view: ClusterView): PlacementChoice | undefined {
    const slots = view.nodes().reduce((sum, node) => sum + node.slots, 0)
    if (this.#copied.size >= Math.max(1, slots * SPECULATIVE_CAP)) return undefined
    const candidates = this.#candidates(view)
    const rates = candidates.map(({ rate }) => rate).sort((a, b) => a - b)
    const slow = rates[Math.floor(rates.length * SLOW_QUANTILE)] ?? 0
    candidates.sort((a, b) => b.leftMs - a.leftMs || a.task.id - b.task.id)
    for (const { task, node, rate } of candidates) {
      if (rate > slow || !task.idempotent || this.#copied.has(task.id)) continue
      const other = firstFit(
        task,
        view.nodes().filter(({ id }) => id !== node),
        view
      )
      if (other === undefined) continue
      this.#copied.set(task.id, view.now)
      return { taskId: task.id, node: other.id }
    }
    return undefined
  }

  #candidates(view: ClusterView): Candidate[] {
    const candidates: Candidate[] = []
    for (const attempt of view.running()) {
      const { node } = attempt
      const task = view.task(attempt.taskId)
      const progress = this.#progressOf(attempt, view.now)
      const ranMs = view.now - attempt.placedAt
      if (task === undefined || progress === undefined || progress <= 0 || ranMs < MIN_RUN_MS) continue
      const rate = progress / ranMs
      candidates.push({ task, node, rate, leftMs: (1 - progress) / rate })
    }
    return candidates
  }
}
