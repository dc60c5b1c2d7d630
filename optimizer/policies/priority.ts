/** Highest priority first, first come first served within one priority. */
import type { Policy } from '../../scheduler/policy.ts'
import { leastLoaded } from './node-rules.ts'
import { queuePolicy } from './queue-policy.ts'
import type { NodeRule } from './queue-policy.ts'

/** Strict priorities without preemption; a task that fits nowhere lets others pass. */
export function priority(node: NodeRule = leastLoaded): Policy {
  return queuePolicy({
    name: 'priority',
    node,
    order: { classOf: (task) => task.priority, score: (key) => -Number(key) }
  })
}
