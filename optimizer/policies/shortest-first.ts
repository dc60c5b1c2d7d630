/**
 * Shortest job first, without preemption, on any prediction (Harchol-Balter, "Performance Modeling and Design of
 * Computer Systems", ch. 31). Predictions are re-read at each completion of the class, so waiting tasks move when their
 * siblings finish. `area` weighs a task by what it occupies (Smith's rule with weight 1 per task: time × width).
 */
import type { Policy, TaskView } from '../../scheduler/policy.ts'
import type { ClassKey, Estimator } from '../estimate.ts'
import { firstFit } from './node-rules.ts'
import { queuePolicy } from './queue-policy.ts'
import type { NodeRule } from './queue-policy.ts'

export interface ShortestFirstOptions {
  readonly name: string
  readonly estimator: Estimator
  readonly node?: NodeRule
  /** Whether to order by predicted time × cpu rather than by time alone. Default false. */
  readonly area?: boolean
}

/** SJF on the estimator's mean. */
export function shortestFirst(options: ShortestFirstOptions): Policy {
  const { name, estimator, area = false } = options
  const width = (task: TaskView): number => (area ? (task.resources['cpu'] ?? 1000) / 1000 : 1)
  // Classes of one user's limit change together, so a completion re-scores all classes that this user has waiting.
  const siblings = new Map<string, Set<ClassKey>>()
  const classOf = (task: TaskView): ClassKey => {
    const own = estimator.classOf(task)
    return area ? `${own}x${width(task)}` : own
  }
  return queuePolicy({
    name,
    node: options.node ?? firstFit,
    order: {
      classOf: (task) => {
        const key = classOf(task)
        const known = siblings.get(task.tenant)
        if (known === undefined) siblings.set(task.tenant, new Set([key]))
        else known.add(key)
        return key
      },
      score: (_key, head) => estimator.predict(head).meanMs * width(head),
      onEnded: (feedback, queues) => {
        estimator.observe(feedback)
        for (const key of siblings.get(feedback.task.tenant) ?? []) queues.rescore(key)
      },
      onFinished: () => undefined,
      reset: () => {
        siblings.clear()
      }
    }
  })
}
