/**
 * The policies that a node offers beyond the built-in ones, by name. They ask the node's estimator, which hears of
 * attempts from elsewhere; in a replay each has an estimator of its own, which hears from the policy.
 */
import { byArea, byArrival, byCoreTime, byPriority, byTenant } from '../../optimizer/advice/orders.ts'
import type { ForecastOrder } from '../../optimizer/advice/orders.ts'
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
  /** In which order it takes tasks, for forecasts. */
  readonly order: ForecastOrder
}

const builtIn = (name: string, about: string, order: ForecastOrder): OfferedPolicy => ({
  name,
  about,
  order,
  factory: () => policyFactory(name)
})

/** All that `PUT /v1/policy` takes. */
export const OFFERED_POLICIES: readonly OfferedPolicy[] = [
  builtIn(
    'least-loaded',
    'larger priority first, then arrival; the least loaded node (the default)',
    byPriority
  ),
  builtIn('priority', 'larger priority first, then arrival; nodes in turn', byPriority),
  builtIn('fifo', 'arrival, whatever the priority; nodes in turn', byArrival),
  {
    name: 'learned',
    about:
      'priority, then least predicted work left, on the node that finishes it first; old tasks are not starved',
    factory: (estimator, learns) => learnedPolicy(estimator, { learns }),
    order: byArea
  },
  {
    name: 'tenant-fair',
    about: 'the tenant with the fewest running tasks first; ignores priority',
    factory: () => () => tenantFair(),
    order: byTenant
  },
  {
    name: 'shortest-first',
    about: 'least predicted time × cpu first; ignores priority, and may starve long tasks',
    factory: (estimator, learns) => () =>
      shortestFirst({ name: 'shortest-first', estimator: learns ? estimator : deaf(estimator), live: true }),
    order: byCoreTime
  },
  {
    name: 'easy',
    about: 'arrival with a reservation for the first, predicted short tasks fill the gaps; ignores priority',
    factory: (estimator, learns) => () =>
      easy({ name: 'easy', estimator: learns ? estimator : deaf(estimator), shortestFirst: true }),
    order: byArrival
  }
]

/** What the runtime is given: the policies that it does not have built in. */
export function policiesOn(estimator: Estimator): ReadonlyMap<string, PolicyFactory> {
  return new Map(OFFERED_POLICIES.map(({ name, factory }) => [name, factory(estimator, false)]))
}

/** The order of the policy of this name; of one that is not offered, that of the default, which places in its stead. */
export function orderOf(policy: string): ForecastOrder {
  return OFFERED_POLICIES.find(({ name }) => name === policy)?.order ?? byPriority
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
