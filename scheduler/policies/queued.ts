/** A policy that is an order of tasks and a choice of nodes. */
import type { Policy, TaskView } from '../policy.ts'
import type { NodePick } from './class-queues.ts'
import { ClassQueues } from './class-queues.ts'

export function queuedPolicy(name: string, rank: (task: TaskView) => number, pick: NodePick): Policy {
  const queues = new ClassQueues({ rank, pick })
  return {
    name,
    reset: (view) => {
      queues.reset(view)
    },
    onReady: (task) => {
      queues.add(task)
    },
    onGone: (id) => {
      queues.remove(id)
    },
    onNodesChanged: () => {
      queues.nodesChanged()
    },
    next: (view) => queues.next(view)
  }
}
