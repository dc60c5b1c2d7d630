/**
 * The reference that a learned estimator is measured against: nested means of ln(run time) with decay 0.9, each level shrunk to the one
 * above with prior weight 1, fed at completion only (all > tenant > name > name × resources × limit). A point, capped by the limit.
 */
import type { TaskView } from '../../scheduler/policy.ts'
import { PointPrediction } from '../estimate.ts'
import type { Estimator } from '../estimate.ts'
import { hasRun } from '../estimator/failures.ts'

const DECAY = 0.9
const PRIOR_WEIGHT = 1
const UNKNOWN_LN = Math.log(3_600_000)
/** Keys that are remembered; those that were heard of longest ago go first. Names may be as many as tasks. */
const MOST_KEYS = 16_384

/** Plain class statistics. */
export function plainStatistics(): Estimator {
  const levels = new Map<string, { weight: number; sum: number }>()
  const prediction = new PointPrediction()
  return {
    name: 'plain statistics',
    classOf: (task) => keysOf(task).at(-1) ?? '',
    predict: (task) => {
      let ln = UNKNOWN_LN
      for (const key of keysOf(task)) {
        const level = levels.get(key)
        if (level !== undefined) ln = (level.sum + PRIOR_WEIGHT * ln) / (level.weight + PRIOR_WEIGHT)
      }
      return prediction.of(Math.max(1, Math.min(task.limitMs > 0 ? task.limitMs : Infinity, Math.exp(ln))))
    },
    observe: ({ task, end, runMs }) => {
      if (!hasRun(end)) return
      for (const key of keysOf(task)) {
        const level = levels.get(key) ?? { weight: 0, sum: 0 }
        level.weight = level.weight * DECAY + 1
        level.sum = level.sum * DECAY + Math.log(Math.max(1, runMs))
        levels.delete(key)
        levels.set(key, level)
      }
      for (const oldest of levels.keys()) {
        if (levels.size <= MOST_KEYS) break
        levels.delete(oldest)
      }
    }
  }
}

function keysOf({ tenant, name, resources, limitMs }: TaskView): string[] {
  const byName = `${tenant}\n${name}`
  const amounts = Object.entries(resources).map(([resource, amount]) => `${resource}=${amount}`)
  return ['', tenant, byName, `${byName}\n${amounts.join()}\n${limitMs}`]
}
