/** First come, first served, in the order in which tasks became ready. */
import type { Policy } from '../../scheduler/policy.ts'
import { firstFit } from './node-rules.ts'
import { queuePolicy } from './queue-policy.ts'
import type { NodeRule, Order } from './queue-policy.ts'

/** Everything is one class: order of readiness. */
export const arrivalOrder: Order = { classOf: () => 0, score: () => 0 }

/** FIFO in which a task that fits nowhere lets later ones pass. */
export function fifoFit(node: NodeRule = firstFit): Policy {
  return queuePolicy({ name: 'fifo-fit', order: arrivalOrder, node })
}

/** FIFO in which the first task holds up all others until it fits. */
export function fifoStrict(node: NodeRule = firstFit): Policy {
  return queuePolicy({ name: 'fifo', order: arrivalOrder, node, strict: true })
}
