/**
 * How many slots a group (a DAG) should hold while others wait: the knee of its predicted speed-up, moved by how contended the
 * cluster is.
 *
 * Run on k slots a group takes about T(k) = C + W ÷ k: its critical path C and its work W (Amdahl 1967; on the Spark TPC-H jobs
 * with 20, 30, 40 and 50 executors this is exact to 1 %). A slot that it holds is missed by the m groups that are there, each of
 * which has slots ÷ m to itself, so k slots for T(k) cost k × T(k) × m ÷ slots of everybody's time. The sum of both is least at
 *
 *   k = √(W ÷ C × slots ÷ m),
 *
 * the geometric mean of the group's average parallelism W ÷ C and of its equal share.
 */
import type { Group, Stage } from './groups-table.ts'
import { FIRST, WARM } from './groups-warmth.ts'
import type { Warmth } from './groups-warmth.ts'

/** What k is multiplied by. Chosen on arrivals of other seeds than those that figures are from; flat between 0.6 and 1. */
const SCALE = 0.8

/** Slots for a group of this average parallelism among `groups` groups; at least its equal share, and at least 1. */
export function shareOf(parallelism: number, slots: number, groups: number): number {
  const equal = slots / Math.max(1, groups)
  const share = Math.max(equal, SCALE * Math.sqrt(parallelism * equal))
  return Math.min(slots, Math.max(1, Math.ceil(share)))
}

/**
 * W ÷ C of what is left: all tasks at their time on a warm node, over the longest path of stages at one first task each. A stage
 * that leads back to itself through others (names repeat along a path) counts once.
 */
export function averageParallelism(group: Group, warmth: Warmth): number {
  let workMs = 0
  const firstMs = new Map<Stage, number>()
  for (const stage of group.stages) {
    if (stage.left === 0) continue
    workMs += stage.left * warmth.expectedMs(stage.sample, stage.known, WARM)
    firstMs.set(stage, warmth.expectedMs(stage.sample, stage.known, FIRST))
  }
  const longest = longestPath(firstMs)
  return longest > 0 ? Math.max(1, workMs / longest) : 1
}

/** The largest sum along `children`, without recursion: a DAG may be as deep as it is long. */
function longestPath(costs: ReadonlyMap<Stage, number>): number {
  const below = new Map<Stage, number>()
  const open = new Set<Stage>()
  let longest = 0
  for (const start of costs.keys()) {
    const stack = [start]
    for (let stage = stack.at(-1); stage !== undefined; stage = stack.at(-1)) {
      const todo = open.has(stage)
        ? []
        : [...stage.children].filter((child) => costs.has(child) && !below.has(child) && !open.has(child))
      open.add(stage)
      if (todo.length > 0 && !below.has(stage)) {
        stack.push(...todo)
        continue
      }
      stack.pop()
      if (below.has(stage)) continue
      let most = 0
      for (const child of stage.children) most = Math.max(most, below.get(child) ?? 0)
      const sum = most + (costs.get(stage) ?? 0)
      below.set(stage, sum)
      longest = Math.max(longest, sum)
    }
  }
  return longest
}
