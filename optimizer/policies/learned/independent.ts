/**
 * The learned policy for independent tasks: `IndependentQueue` on any estimator, which it feeds.
 */
import type { TaskId } from '../../../base/ids.ts'
import type { TimestampMs } from '../../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  PlacementChoice,
  Policy,
  TaskView
} from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { IndependentQueue } from './independent-queue.ts'
import type { IndependentOptions } from './independent-queue.ts'

export interface LearnedIndependentOptions extends IndependentOptions {
  /** Default `learned-independent`. */
  readonly name?: string
  /** Whether the policy tells the estimator what happens; false when somebody else does. Default true. */
  readonly learns?: boolean
}

/** The policy for tasks without dependencies on this estimator. Dependencies are not looked at: ready is ready. */
export function learnedIndependent(estimator: Estimator, options: LearnedIndependentOptions = {}): Policy {
  return new LearnedIndependent(estimator, options)
}

class LearnedIndependent implements Policy {
  readonly name: string
  readonly #estimator: Estimator
  readonly #learns: boolean
  readonly #queue: IndependentQueue

  constructor(estimator: Estimator, options: LearnedIndependentOptions) {
    this.name = options.name ?? 'learned-independent'
    this.#estimator = estimator
    this.#learns = options.learns ?? true
    this.#queue = new IndependentQueue(estimator, options)
  }

  reset(view: ClusterView): void {
    this.#queue.reset(view)
    for (const { taskId, node, placedAt } of view.running()) {
      const task = view.task(taskId)
      const host = view.node(node)
      if (task === undefined) continue
      if (this.#learns && host !== undefined) this.#estimator.placed?.(task, host, placedAt)
      this.#queue.resume(task, node, placedAt, view)
    }
    for (const task of view.ready()) this.#queue.add(task, view)
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#queue.add(task, view)
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    this.#queue.gone(taskId, view)
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    if (this.#learns) this.#estimator.observe(feedback)
    this.#queue.ended(feedback, view)
  }

  onFinished(taskId: TaskId, view: ClusterView): void {
    this.#queue.finished(taskId, view)
  }

  onNodesChanged(view: ClusterView): void {
    this.#queue.nodesChanged(view)
  }

  next(view: ClusterView): PlacementChoice | undefined {
    this.#queue.advance(view, this.#estimator.advance?.(view.now) ?? [])
    const candidate = this.#queue.peek(view)
    if (candidate === undefined) return undefined
    const task = view.task(candidate.taskId)
    const host = view.node(candidate.node)
    if (this.#learns && task !== undefined && host !== undefined)
      this.#estimator.placed?.(task, host, view.now)
    return { taskId: candidate.taskId, node: candidate.node }
  }

  wakeAt(): TimestampMs | undefined {
    return this.#queue.wakeAt()
  }
}
