/** How much of a cluster a task takes, as one number. */
import type { NodeView, TaskView } from '../../scheduler/policy.ts'
import type { Resources } from '../../scheduler/types.ts'

/** All that a cluster's nodes have together. */
export interface Capacity {
  /** At least 1. */
  readonly slots: number
  readonly resources: Resources
}

export function capacityOf(nodes: readonly NodeView[]): Capacity {
  const resources: Record<string, number> = {}
  let slots = 0
  for (const node of nodes) {
    slots += node.slots
    for (const name in node.resources) resources[name] = (resources[name] ?? 0) + (node.resources[name] ?? 0)
  }
  return { slots: Math.max(1, slots), resources }
}

/** The largest part that the task takes of anything, in slots of the cluster; at least 1. */
export function widthOf(task: TaskView, { slots, resources }: Capacity): number {
  let share = 1 / slots
  for (const name in task.resources) {
    const capacity = resources[name]
    if (capacity !== undefined && capacity > 0)
      share = Math.max(share, (task.resources[name] ?? 0) / capacity)
  }
  return share * slots
}
