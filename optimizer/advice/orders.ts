/**
 * In which order policies take ready tasks, as far as a forecast needs to know: policies are not run for it. Which policy has which
 * order is said where policies are offered.
 *
 * What is left out: the share of arrivals and the probing of `learned` and its order among DAGs, and what a reservation of `easy`, or the room
 * that `learned` holds for a short task, keeps from passing.
 */
import type { NodeView, TaskView } from '../../scheduler/policy.ts'
import { coresOf } from '../policies/shortest-first.ts'
import { capacityOf, widthOf } from '../policies/width.ts'
import type { Expected, Order } from './problem.ts'

/** The order of a policy on these nodes. */
export type ForecastOrder = (nodes: readonly NodeView[]) => Order

/** Above any logarithm of an area. */
const PRIORITY_STEP = 1_000

export const byArrival: ForecastOrder = () => ({ rank: () => 0 })

/** Larger priority first, then arrival. */
export const byPriority: ForecastOrder = () => ({ rank: (task) => -task.priority })

/** Least predicted median time × cores first, whatever the priority. */
export const byCoreTime: ForecastOrder = () => ({ rank: (task, { medianMs }) => medianMs * coresOf(task) })

/** Larger priority first, then least predicted area: the mean of what the learned policy's scores come to. */
export const byArea: ForecastOrder = (nodes) => {
  const capacity = capacityOf(nodes)
  return {
    rank: (task, expected) =>
      -task.priority * PRIORITY_STEP + Math.log(1 + typicalMs(expected) * widthOf(task, capacity))
  }
}

/** The tenant with the fewest running tasks first, then arrival. */
export const byTenant: ForecastOrder = () => ({ rank: () => 0, shareOf: (task: TaskView) => task.tenant })

/** Halfway between the median and the mean, as the policy has it, which takes no mean for more than e² medians. */
function typicalMs({ medianMs, meanMs }: Expected): number {
  return Math.sqrt(medianMs * Math.min(meanMs, Math.E ** 2 * medianMs))
}
