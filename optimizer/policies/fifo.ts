/**
 * First come, first served, in the order in which tasks became ready. The form in which a task that fits nowhere lets
 * others pass (`fifo-fit`) is one of production's own policies (`scheduler/policies/`); here are the others.
 */
import type { Rng } from '../../base/prng.ts'
import type { Policy } from '../../scheduler/policy.ts'
import { firstFit, powerOfTwo, roundRobin } from './node-rules.ts'
import { queuePolicy } from './queue-policy.ts'
import type { Order } from './queue-policy.ts'

/** Everything is one class: order of readiness. */
const arrivalOrder: Order = { classOf: () => 0, score: () => 0 }

/** FIFO in which the first task holds up all others until it fits. */
export function fifoStrict(): Policy {
  return queuePolicy({ name: 'fifo', order: arrivalOrder, node: firstFit, strict: true })
}

/** FIFO, each node in turn. */
export function fifoRoundRobin(): Policy {
  return queuePolicy({ name: 'round-robin', order: arrivalOrder, node: roundRobin() })
}

/** FIFO, the less loaded of two random nodes. */
export function fifoPowerOfTwo(rng: Rng): Policy {
  return queuePolicy({ name: 'power-of-two', order: arrivalOrder, node: powerOfTwo(rng) })
}
