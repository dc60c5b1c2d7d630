/** Ways to choose a node for a task among those that may run it. All avoid the node that failed it last, when they can. */
import type { NodeId } from '../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../policy.ts'
import type { NodePick } from './class-queues.ts'

/** The node with the largest share of free slots, so that load is even in proportion to size; the lowest id of equals. */
export const leastLoaded: NodePick = (view, task, eligible) => {
  let best: NodeView | undefined
  let bestShare = -1
  for (const node of eligible) {
    if (node.id === task.lastFailedOn || !view.fits(task, node)) continue
    const share = node.freeSlots / node.slots
    if (share > bestShare) {
      best = node
      bestShare = share
    }
  }
  return best?.id ?? lastResort(view, task, eligible)
}

/** Each node in turn. */
export function roundRobin(): NodePick {
  let last = 0
  return (view, task, eligible) => {
    let lowest: NodeId | undefined
    for (const node of eligible) {
      if (node.id === task.lastFailedOn || !view.fits(task, node)) continue
      if (node.id > last) {
        last = node.id
        return node.id
      }
      lowest ??= node.id
    }
    if (lowest !== undefined) last = lowest
    return lowest ?? lastResort(view, task, eligible)
  }
}

/** The node that failed the task last is still better than none. */
function lastResort(view: ClusterView, task: TaskView, eligible: readonly NodeView[]): NodeId | undefined {
  return eligible.find((node) => node.id === task.lastFailedOn && view.fits(task, node))?.id
}
