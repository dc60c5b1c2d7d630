/** Random order on a random node with room: what any rule must beat. */
import type { Rng } from '../../base/prng.ts'
import type { Policy } from '../../scheduler/policy.ts'
import { randomNode } from './node-rules.ts'
import { queuePolicy } from './queue-policy.ts'

/** Each waiting task is as likely to be next as any other. */
export function random(rng: Rng): Policy {
  // A random key drawn on arrival orders tasks uniformly: all orders of the keys are equally likely.
  return queuePolicy({
    name: 'random',
    node: randomNode(rng),
    order: { classOf: () => rng.nextFloat(), score: (key) => Number(key) }
  })
}
