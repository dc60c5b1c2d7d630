/**
 * What slowdowns are measured against: how long a unit would take if nothing were in its way. Each task runs on the fastest node that may
 * take it, as soon as those that it needs are done, without noise, stragglers, failures or transfers. A policy that chooses slow nodes
 * slows down, and so does a straggler that it does not copy.
 */
import { criticalPaths } from '../sim/critical-path.ts'
import type { SimNode, SimTask, Workload } from '../sim/types.ts'
import type { Unit } from './trace.ts'

/** Whether a task is judged within its group. */
export function groupedBy({ tasks }: Workload, unit: Unit): (task: SimTask) => boolean {
  if (unit !== 'dag') return () => unit === 'group'
  const dags = new Set(tasks.filter(({ needs }) => needs.length > 0).map(({ group }) => group))
  return ({ group }) => dags.has(group)
}

/**
 * `Instance.idealMs`: from submission to end, at each task's index (groups: at that of their first task). A task that is judged by itself
 * though it waits for others has their longest path in it.
 */
export function idealTimes(workload: Workload, unit: Unit, msOf: (index: number) => number): Float64Array {
  const { ofTask, ofGroup } = criticalPaths(workload, msOf)
  const grouped = groupedBy(workload, unit)
  return Float64Array.from(workload.tasks, (task, index) => (grouped(task) ? ofGroup : ofTask)[index] ?? 0)
}

/** What the task at an index takes on the fastest node that may take it; its work at speed 1 when none may. */
export function fastestRuns({ tasks }: Workload, cluster: readonly SimNode[]): (index: number) => number {
  const byKind = new Map<string, readonly SimNode[]>()
  return (index) => {
    const task = tasks[index]
    if (task === undefined) return 0
    let fastestFirst = byKind.get(task.kind)
    if (fastestFirst === undefined) {
      const speed = (node: SimNode): number => node.speeds[task.kind] ?? 1
      fastestFirst = [...cluster].sort((a, b) => speed(b) - speed(a))
      byKind.set(task.kind, fastestFirst)
    }
    const node = fastestFirst.find((other) => couldTake(other, task))
    return task.workMs / (node?.speeds[task.kind] ?? 1)
  }
}

/** Whether an empty node takes the task. */
function couldTake(node: SimNode, { nodeSelector, resources }: SimTask): boolean {
  if (node.slots < 1) return false
  for (const label in nodeSelector) if (node.labels[label] !== nodeSelector[label]) return false
  for (const name in resources) {
    if ((node.resources[name] ?? Infinity) < (resources[name] ?? 0)) return false
  }
  return true
}
