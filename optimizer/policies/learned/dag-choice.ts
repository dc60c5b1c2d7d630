/**
 * On which node a task would end first, busy ones included.
 *
 * 1. Nodes that could never run it are no choice, whatever is predicted of them.
 * 2. A node with a free slot that lacks the resources is busy for the task until something ends there.
 * 3. The node on which its last attempt failed is chosen when there is no other, but never for a copy.
 */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import { couldTake } from '../node-rules.ts'
import type { DagTimes } from './dag-times.ts'

/** How a task is to end. */
export interface Wish {
  /** What a run takes of its predicted time. */
  readonly perMs: number
  /** Sooner than this, in state time. */
  readonly before: number
  /** On any node but this one. */
  readonly besides: NodeId | undefined
}

/** A node, when each of its slots is free (earliest first), the slot that the task would have, and when it would end. */
export interface Choice {
  readonly node: NodeView
  readonly lanes: number[]
  readonly lane: number
  readonly endsAt: number
}

const ANYWHERE: Wish = { perMs: 1, before: Infinity, besides: undefined }

/** Where the task would end first, as it is wished; `freeAt` by index of node. */
export function earliest(
  task: TaskView,
  freeAt: readonly number[][],
  times: DagTimes,
  view: ClusterView,
  wish: Wish = ANYWHERE
): Choice | undefined {
  const failedOn = view.nodes().length > 1 ? task.lastFailedOn : undefined
  const choice = search(task, freeAt, times, view, wish, failedOn)
  if (choice !== undefined || failedOn === undefined || wish !== ANYWHERE) return choice
  return search(task, freeAt, times, view, wish, undefined)
}

function search(
  task: TaskView,
  freeAt: readonly number[][],
  times: DagTimes,
  view: ClusterView,
  { perMs, before, besides }: Wish,
  failedOn: NodeId | undefined
): Choice | undefined {
  const nodes = view.nodes()
  const row = times.row(task, nodes.length)
  let best: NodeView | undefined
  let bestLanes: number[] | undefined
  let bestLane = 0
  let bestAt = before
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[index]
    const lanes = freeAt[index]
    const startsAt = Math.max(lanes?.[0] ?? Infinity, view.now)
    if (node === undefined || lanes === undefined || startsAt >= bestAt) continue
    let ms = row[index] ?? NaN
    if (Number.isNaN(ms)) ms = times.fill(row, index, task, node)
    if (startsAt + perMs * ms >= bestAt || node.id === besides || node.id === failedOn) continue
    if (!couldTake(task, node, view)) continue
    const lane = startsAt <= view.now && !view.fits(task, node) ? laterThan(view.now, lanes) : 0
    const endsAt = Math.max(lanes[lane] ?? Infinity, view.now) + perMs * ms
    if (endsAt >= bestAt) continue
    best = node
    bestLanes = lanes
    bestLane = lane
    bestAt = endsAt
  }
  if (best === undefined || bestLanes === undefined) return undefined
  return { node: best, lanes: bestLanes, lane: bestLane, endsAt: bestAt }
}

/** Index of the first slot that is free later than now; beyond the last for none. */
function laterThan(now: number, lanes: readonly number[]): number {
  let lane = 0
  while (lane < lanes.length && (lanes[lane] ?? 0) <= now) lane++
  return lane
}
