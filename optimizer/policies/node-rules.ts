/**
 * Rules for the node of a task that was already chosen. Each returns a node that is eligible and has room, or undefined.
 */
import type { Rng } from '../../base/prng.ts'
import type { ClusterView, NodeView, TaskView } from '../../scheduler/policy.ts'
import type { NodeRule } from './queue-policy.ts'

/** The fitting node with the lowest number. */
export const firstFit: NodeRule = (task, candidates, view) =>
  candidates.find((node) => takes(task, node, view))

/** A uniformly random fitting node. */
export function randomNode(rng: Rng): NodeRule {
  return (task, candidates, view) => {
    let count = 0
    let chosen: NodeView | undefined
    for (const node of candidates) {
      // Reservoir sampling: each of the n fitting nodes stays with probability 1/n.
      if (takes(task, node, view) && rng.nextInt(++count) === 0) chosen = node
    }
    return chosen
  }
}

/** The next fitting node after the one used last, in a circle. */
export function roundRobin(): NodeRule {
  let last = 0
  return (task, candidates, view) => {
    const later = candidates.find((node) => node.id > last && takes(task, node, view))
    const chosen = later ?? candidates.find((node) => takes(task, node, view))
    if (chosen !== undefined) last = chosen.id
    return chosen
  }
}

/**
 * The less loaded of two random nodes (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS
 * 2001). Both are drawn among the nodes with room: a central planner has no reason to probe a full one.
 */
export function powerOfTwo(rng: Rng): NodeRule {
  return (task, candidates, view) => {
    const open = candidates.filter((node) => takes(task, node, view))
    if (open.length < 2) return open[0]
    const first = open[rng.nextInt(open.length)]
    const second = open[rng.nextInt(open.length)]
    if (first === undefined || second === undefined) return first
    return freer(first, second)
  }
}

/** The fitting node with the highest score; the lowest number among equals. */
export function bestBy(
  task: TaskView,
  candidates: readonly NodeView[],
  view: ClusterView,
  score: (node: NodeView) => number
): NodeView | undefined {
  let best: NodeView | undefined
  let bestScore = -Infinity
  for (const node of candidates) {
    if (!takes(task, node, view)) continue
    const value = score(node)
    if (value > bestScore) {
      best = node
      bestScore = value
    }
  }
  return best
}

/** Of two nodes the one with the larger share of free slots, so that load is even in proportion to size; the first of equals. */
export function freer(first: NodeView | undefined, second: NodeView): NodeView {
  return first === undefined || second.freeSlots / second.slots > first.freeSlots / first.slots
    ? second
    : first
}

/** The one with the largest share of free slots; the first of equals. */
export function freestOf(nodes: readonly (NodeView | undefined)[]): NodeView | undefined {
  let freest: NodeView | undefined
  for (const node of nodes) if (node !== undefined) freest = freer(freest, node)
  return freest
}

/** Whether the node may run the task and has room for it now. */
export function takes(task: TaskView, node: NodeView, view: ClusterView): boolean {
  return view.fits(task, node) && view.eligible(task, node)
}

/** Whether one of the nodes may run the task and has room for it now. */
export function takesAny(task: TaskView, nodes: readonly NodeView[], view: ClusterView): boolean {
  for (const node of nodes) if (takes(task, node, view)) return true
  return false
}

/** Whether the node could run the task if nothing else were on it: eligible, and large enough. */
export function couldTake(task: TaskView, node: NodeView, view: ClusterView): boolean {
  if (node.slots < 1) return false
  for (const name in task.resources)
    if ((task.resources[name] ?? 0) > (node.resources[name] ?? Infinity)) return false
  return view.eligible(task, node)
}

/** Whether some node could. Such tasks are accepted without one, and wait until nodes change. */
export function isPlaceable(task: TaskView, view: ClusterView): boolean {
  return view.nodes().some((node) => couldTake(task, node, view))
}
