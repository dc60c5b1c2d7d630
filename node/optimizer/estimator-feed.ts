/**
 * Tells an estimator of attempts within a budget of the main thread's time. A cluster that runs thousands of short tasks a
 * second is learned from by as many of them as there is time for; a slower one by all.
 *
 * 1. A beginning costs some 15 µs, more when the class's prediction has to be worked out anew, and its end as much again:
 *    what was predicted is judged. Beginnings over the budget are not told.
 * 2. The end of an attempt whose beginning was told is always told, or it would seem to run for ever. Other ends, some
 *    5 µs each, have a budget of their own.
 */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { Estimator } from '../../optimizer/estimate.ts'
import type { AttemptFeedback, NodeView, TaskView } from '../../scheduler/policy.ts'
import { TimeBudget } from './time-budget.ts'

/** Shares of the time, and how much of it is saved up. */
const BEGINNINGS = { share: 0.01, burstMs: 50 }
const ENDS = { share: 0.03, burstMs: 200 }

export class EstimatorFeed {
  readonly #estimator: Estimator
  readonly #beginnings: TimeBudget
  readonly #ends: TimeBudget
  /** Attempts that were told of, by task and node: a task and its copy never share one. */
  readonly #begun = new Map<string, { readonly task: TaskView; readonly node: NodeId }>()

  /** `now` is a monotonic clock in milliseconds. */
  constructor(estimator: Estimator, now: () => number) {
    this.#estimator = estimator
    this.#beginnings = new TimeBudget(BEGINNINGS.share, BEGINNINGS.burstMs, now)
    this.#ends = new TimeBudget(ENDS.share, ENDS.burstMs, now)
  }

  /** An attempt began, at `at` in state time. */
  began(task: TaskView, node: NodeView, at: number): void {
    this.#beginnings.run(() => {
      this.#begun.set(keyOf(task.id, node.id), { task, node: node.id })
      this.#estimator.placed?.(task, node, at)
    })
  }

  ended(feedback: AttemptFeedback): void {
    if (this.#begun.delete(keyOf(feedback.task.id, feedback.node))) this.#estimator.observe(feedback)
    else
      this.#ends.run(() => {
        this.#estimator.observe(feedback)
      })
  }

  /** An attempt that began before this node looked, or while it could not tell: all are told, none twice. */
  runs(task: TaskView, node: NodeView, at: number): void {
    const key = keyOf(task.id, node.id)
    if (this.#begun.has(key)) return
    this.#begun.set(key, { task, node: node.id })
    this.#estimator.placed?.(task, node, at)
  }

  /** These are all attempts that run: others that were told of are over, and nobody will say how. They said nothing of run times. */
  reconcile(running: Iterable<{ readonly task: TaskView; readonly node: NodeView }>): void {
    const alive = new Set<string>()
    for (const { task, node } of running) alive.add(keyOf(task.id, node.id))
    for (const [key, { task, node }] of this.#begun) {
      if (alive.has(key)) continue
      this.#begun.delete(key)
      this.#estimator.observe({ task, node, end: 'not-started', runMs: 0, peakMemoryBytes: 0 })
    }
  }
}

function keyOf(task: TaskId, node: NodeId): string {
  return `${task}/${node}`
}
