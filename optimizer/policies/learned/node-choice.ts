/**
 * Which node takes an independent task: the one that is expected to finish it first, and among nodes as fast as each other the
 * one on which it leaves the least waste.
 *
 * 1. A node on which the task's last attempt failed is taken only when no other has room.
 * 2. Nodes of one hardware class are expected to be alike, so a decision asks for one prediction a class.
 * 3. Packing is by alignment (Grandl et al., "Tetris", SIGCOMM 2014, §3.2) of what the task is expected to use: memory by its
 *    predicted p95 where that is below the request. Whether it fits is by requests alone.
 */
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { takes } from '../node-rules.ts'

/** Nodes this much slower, relatively, than the fastest with room still count as equally fast. */
const SAME_SPEED = 0.05
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
  if (fastest.length < 2 || !asksForMore(task)) return fastest[0]
  const memory = expectedMemory(task, estimator)
  let best: NodeView | undefined
  let bestScore = -Infinity
  for (const node of fastest) {
    const score = alignment(task, node, memory)
    if (score > bestScore) {
      best = node
      bestScore = score
    }
  }
  return best
}

function fastestOf(task: TaskView, nodes: readonly NodeView[], estimator: Estimator): readonly NodeView[] {
  const profile = nodes[0]?.profile
  if (nodes.every((node) => node.profile === profile)) return nodes
  const expectedMs = new Map<string, number>()
  let shortest = Infinity
  for (const node of nodes) {
    if (expectedMs.has(node.profile)) continue
    const ms = estimator.predict(task, node).medianMs
    expectedMs.set(node.profile, ms)
    shortest = Math.min(shortest, ms)
  }
  return nodes.filter((node) => (expectedMs.get(node.profile) ?? Infinity) <= shortest * (1 + SAME_SPEED))
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
