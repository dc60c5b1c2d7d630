/**
 * Which node takes an independent task: the one that is expected to finish it first (`node-speeds.ts`); among nodes as fast as each other the
 * one on which it leaves the least waste, if it asks for resources; and among those the one with the largest share of free slots, as
 * `least-loaded` chooses.
 *
 * 1. A node on which the task's last attempt failed is taken only when no other has room.
 * 2. Packing is by alignment (Grandl et al., "Tetris", SIGCOMM 2014, §3.2) of what the task is expected to use: memory by its
 *    predicted p95 where that is below the request. Whether it fits is by requests alone.
 */
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { freestOf, takes } from '../node-rules.ts'
import { fastestOf } from './node-speeds.ts'

const MEMORY_QUANTILE = 0.95

/** The best of `candidates` that is eligible and has room; undefined for none. `allowed` may refuse a node. */
export function chooseNode(
  task: TaskView,
  candidates: readonly NodeView[],
  view: ClusterView,
  estimator: Estimator,
  allowed: (node: NodeView) => boolean
): NodeView | undefined {
  const open = candidates.filter((node) => takes(task, node, view) && allowed(node))
  if (open.length < 2) return open[0]
  const others = open.filter((node) => node.id !== task.lastFailedOn)
  const fastest = fastestOf(task, others, estimator)
  if (fastest.length < 2) return fastest[0]
  return freestOf(asksForMore(task) ? bestAligned(task, fastest, expectedMemory(task, estimator)) : fastest)
}

function asksForMore(task: TaskView): boolean {
  for (const name in task.resources) if ((task.resources[name] ?? 0) > 0) return true
  return false
}

function expectedMemory(task: TaskView, estimator: Estimator): number {
  const asked = task.resources['memory'] ?? 0
  const expected = estimator.predict(task).memoryBytes(MEMORY_QUANTILE)
  return expected > 0 ? Math.min(asked, expected) : asked
}

/** Rule 2; several where they are equally good. */
function bestAligned(task: TaskView, nodes: readonly NodeView[], memory: number): readonly NodeView[] {
  let best: NodeView[] = []
  let bestScore = -Infinity
  for (const node of nodes) {
    const score = alignment(task, node, memory)
    if (score === bestScore) best.push(node)
    else if (score > bestScore) {
      best = [node]
      bestScore = score
    }
  }
  return best
}

/** Σ over resources of (expected use ÷ capacity) × (left ÷ capacity); slots count as a resource. */
function alignment(task: TaskView, node: NodeView, memory: number): number {
  let score = (1 / node.slots) * (node.freeSlots / node.slots)
  for (const name in task.resources) {
    const capacity = node.resources[name]
    if (capacity === undefined || capacity === 0) continue
    const use = name === 'memory' ? memory : (task.resources[name] ?? 0)
    score += (use / capacity) * (node.free(name) / capacity)
  }
  return score
}
