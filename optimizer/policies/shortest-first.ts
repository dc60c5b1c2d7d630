/**
 * Shortest job first, without preemption, on any prediction (Harchol-Balter, "Performance Modeling and Design of
 * Computer Systems", ch. 31). The order is by predicted area, time × cpu, which is Smith's rule with weight 1 a task;
 * for tasks of one width that is the same as by time.
 *
 * A prediction is made when the task becomes ready and kept, or (`live`) re-read whenever a task of the same tenant ends,
 * so that waiting tasks move when their siblings finish.
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
  /** Whether predictions are re-read while tasks wait. Default false. */
  readonly live?: boolean
}

/**
 * SJF on the estimator's median: the mean of a young class is its tail's, which puts a short task that nobody knows behind all others.
 */
export function shortestFirst(options: ShortestFirstOptions): Policy {
  return options.live === true ? liveOrder(options) : fixedOrder(options)
}

function fixedOrder({ name, estimator, node = firstFit }: ShortestFirstOptions): Policy {
  return queuePolicy({
    name,
    node,
    order: {
      classOf: (task) => estimator.predict(task).medianMs * coresOf(task),
      score: (key) => Number(key),
      onEnded: (feedback) => {
        estimator.observe(feedback)
      }
    }
  })
}

function liveOrder({ name, estimator, node = firstFit }: ShortestFirstOptions): Policy {
  // Which classes a tenant has had: a completion may change the prediction of all of them.
  const siblings = new Map<string, Set<ClassKey>>()
  return queuePolicy({
    name,
    node,
    order: {
      classOf: (task) => {
        const key = `${estimator.classOf(task)}x${coresOf(task)}`
        const known = siblings.get(task.tenant)
        if (known === undefined) siblings.set(task.tenant, new Set([key]))
        else known.add(key)
        return key
      },
      score: (_key, head) => estimator.predict(head).medianMs * coresOf(head),
      onEnded: (feedback, queues) => {
        estimator.observe(feedback)
        for (const key of siblings.get(feedback.task.tenant) ?? []) queues.rescore(key)
      },
      reset: () => {
        siblings.clear()
      }
    }
  })
}

/** Cores; 1 when the task does not say. */
export function coresOf(task: TaskView): number {
  return (task.resources['cpu'] ?? 1000) / 1000
}
