/**
 * Packing by alignment: among the next tasks in order, the pair of task and node with the largest dot product of what
 * the task asks and what the node has left (Grandl et al., "Tetris: Multi-Resource Packing for Cluster Schedulers",
 * SIGCOMM 2014, §3.2). With an estimator the score also favours short tasks, as Tetris combines packing with SRTF (§3.3).
 */
import type { ClusterView, NodeView, Policy, TaskView } from '../../scheduler/policy.ts'
import type { Estimator } from '../estimate.ts'
import { bestBy } from './node-rules.ts'
import { queuePolicy } from './queue-policy.ts'

/** Tetris. Without an estimator: packing only, tasks in order of arrival. */
export function tetris(options: { readonly name: string; readonly estimator?: Estimator }): Policy {
  const { name, estimator } = options
  return queuePolicy({
    name,
    order: {
      classOf: (task) => (estimator === undefined ? 0 : estimator.predict(task).meanMs),
      score: (key) => Number(key),
      onEnded: (feedback) => estimator?.observe(feedback)
    },
    node: (task: TaskView, candidates: readonly NodeView[], view: ClusterView) =>
      bestBy(task, candidates, view, (node) => alignment(task, node))
  })
}

/** Σ over resources of (asked ÷ capacity) × (left ÷ capacity); slots count as a resource. */
function alignment(task: TaskView, node: NodeView): number {
  let score = (1 / node.slots) * (node.freeSlots / node.slots)
  for (const name in task.resources) {
    const capacity = node.resources[name]
    if (capacity === undefined || capacity === 0) continue
    score += ((task.resources[name] ?? 0) / capacity) * (node.free(name) / capacity)
  }
  return score
}
