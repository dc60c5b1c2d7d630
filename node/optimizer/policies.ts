/**
 * The policies that a node offers beyond the built-in ones, by name. They ask the node's estimator, which hears of
 * attempts from elsewhere; in a replay each has an estimator of its own, which hears from the policy.
 */
import { easy } from '../../optimizer/policies/easy.ts'
import type { Estimator } from '../../optimizer/estimate.ts'
import { learnedPolicy } from '../../optimizer/policies/learned/index.ts'
import { shortestFirst } from '../../optimizer/policies/shortest-first.ts'
import { tenantFair } from '../../optimizer/policies/tenant-fair.ts'
import { policyFactory } from '../../scheduler/policies/index.ts'
import type { PolicyFactory } from '../../scheduler/policy.ts'

export interface OfferedPolicy {
  readonly name: string
  readonly about: string
  /** `learns`: the policy tells the estimator of attempts that are over, rather than somebody else. */
  readonly factory: (estimator: Estimator, learns: boolean) => PolicyFactory
}

const builtIn = (name: string, about: string): OfferedPolicy => ({
  name,
  about,
  factory: () => policyFactory(name)
})

/** All that `PUT /v1/policy` takes. */
export const OFFERED_POLICIES: readonly OfferedPolicy[] = [
  builtIn('least-loaded', 'larger priority first, then arrival; the least loaded node (the default)'),
  builtIn('priority', 'larger priority first, then arrival; nodes in turn'),
  builtIn('fifo', 'arrival, whatever the priority; nodes in turn'),
  {
    name: 'learned',
    about:
      'priority, then least predicted work left, on the node that finishes it first; old tasks are not starved',
    factory: (estimator, learns) => learnedPolicy(estimator, { learns })
  },
  {
    name: 'tenant-fair',
    about: 'the tenant with the fewest running tasks first; ignores priority',
    factory: () => () => tenantFair()
  },
  {
    name: 'shortest-first',
    about: 'least predicted time × cpu first; ignores priority, and may starve long tasks',
    factory: (estimator, learns) => () =>
      shortestFirst({ name: 'shortest-first', estimator: learns ? estimator : deaf(estimator), live: true })
  },
  {
    name: 'easy',
    about: 'arrival with a reservation for the first, predicted short tasks fill the gaps; ignores priority',
    factory: (estimator, learns) => () =>
      easy({ name: 'easy', estimator: learns ? estimator : deaf(estimator), shortestFirst: true })
  }
]

/** What the runtime is given: the policies that it does not have built in. */
export function policiesOn(estimator: Estimator): ReadonlyMap<string, PolicyFactory> {
  return new Map(OFFERED_POLICIES.map(({ name, factory }) => [name, factory(estimator, false)]))
}

/** The estimator to those who would tell it what it hears already. */
function deaf(estimator: Estimator): Estimator {
  return {
    name: estimator.name,
    classOf: (task) => estimator.classOf(task),
    predict: (task, node) => estimator.predict(task, node),
    observe: () => undefined
  }
}
