/**
 * The policies that need no optimizer. All take tasks in an order, skip classes that nothing can take now (so a task that
 * asks for much may be overtaken), and none looks into the future.
 */
import { AppError } from '../../base/errors.ts'
import type { PolicyFactory } from '../policy.ts'
import { leastLoaded, roundRobin } from './node-picks.ts'
import { queuedPolicy } from './queued.ts'

/** By name. Wiring may add more. */
const BUILT_IN_POLICIES: ReadonlyMap<string, PolicyFactory> = new Map<string, PolicyFactory>([
  /** In the order in which tasks became ready, whatever their priority; each node in turn. */
  ['fifo', () => queuedPolicy('fifo', () => 0, roundRobin())],
  /** Larger priority first, then arrival; each node in turn. */
  ['priority', () => queuedPolicy('priority', (task) => task.priority, roundRobin())],
  /** The default: larger priority first, then arrival; the node with the largest share of free slots. */
  ['least-loaded', () => queuedPolicy('least-loaded', (task) => task.priority, leastLoaded)]
])

/** The factory of a policy, `extra` first. Throws CONFIG_INVALID for an unknown name. */
export function policyFactory(
  name: string,
  extra: ReadonlyMap<string, PolicyFactory> = new Map()
): PolicyFactory {
  const factory = extra.get(name) ?? BUILT_IN_POLICIES.get(name)
  if (factory !== undefined) return factory
  const expected = [...new Set([...extra.keys(), ...BUILT_IN_POLICIES.keys()])].join(', ')
  throw new AppError('CONFIG_INVALID', `policy: got "${name}", expected one of ${expected}`)
}
