/**
 * In which order a policy takes ready tasks, as far as a forecast needs to know: policies are not run for it.
 *
 * The learned policies' own scores age and re-rank; what they come to in the mean is priority first, then the least
 * predicted area.
 */
import type { TaskView } from '../../scheduler/policy.ts'
import type { Rank } from './problem.ts'

/** Above any logarithm of an area. */
const PRIORITY_STEP = 1_000

/** The order of the policy of this name: lower first, ties by readiness. */
export function rankOf(policy: string): Rank {
  if (policy === 'fifo') return () => 0
  if (policy === 'learned' || policy.startsWith('sjf')) {
    return (task, medianMs) => -task.priority * PRIORITY_STEP + Math.log(1 + medianMs * cores(task))
  }
  return (task) => -task.priority
}

function cores(task: TaskView): number {
  return Math.max(1, task.resources['cpu'] ?? 0) / 1000
}
