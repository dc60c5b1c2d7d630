/** Run models that add nothing to the workload: each attempt takes what its task takes, by the node's speed. */
import type { RunModel, SimNode, SimTask } from './types.ts'

/** Run times as recorded, divided by the node's speed for the task's kind. Nothing fails. */
export function fixedRunTimes(): RunModel {
  return {
    start: (task, node, _context, plan) => {
      plan.runMs = task.workMs / speedOf(task, node)
    }
  }
}

/** The node's speed for this task; 1 when the node says nothing of its kind. */
export function speedOf(task: SimTask, node: SimNode): number {
  return node.speeds[task.kind] ?? 1
}
