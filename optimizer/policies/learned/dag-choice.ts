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
import type { Lanes } from './dag-lanes.ts'
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

/** A node, the lane that the task would have there, and when it would end. */
export interface Choice {
  readonly node: NodeView
  readonly index: number
  readonly lane: number
  /** Whether that lane is free now. */
  readonly opens: boolean
  readonly endsAt: number
}

const ANYWHERE: Wish = { perMs: 1, before: Infinity, besides: undefined }

/** Where the task would end first, as it is wished. */
export function earliest(
  task: TaskView,
  lanes: Lanes,
  times: DagTimes,
  view: ClusterView,
  wish: Wish = ANYWHERE
): Choice | undefined {
  const failedOn = view.nodes().length > 1 ? task.lastFailedOn : undefined
  const choice = search(task, lanes, times, view, wish, failedOn)
  if (choice !== undefined || failedOn === undefined || wish !== ANYWHERE) return choice
  return search(task, lanes, times, view, wish, undefined)
}

function search(
  task: TaskView,
  lanes: Lanes,
  times: DagTimes,
  view: ClusterView,
  { perMs, before, besides }: Wish,
  failedOn: NodeId | undefined
): Choice | undefined {
  const nodes = view.nodes()
  const { now } = view
  const { firstAt } = lanes
  const { typicalMs, factors } = times.row(task, nodes)
  const ms = perMs * typicalMs
  let best = -1
  let bestLane = 0
  let bestAt = before
  for (let index = 0; index < nodes.length; index++) {
    const runMs = ms * (factors[index] ?? NaN)
    if ((firstAt[index] ?? Infinity) + runMs >= bestAt) continue
    const node = nodes[index]
    if (node === undefined || firstAt[index] === Infinity) continue
    if (node.id === besides || node.id === failedOn || !couldTake(task, node, view)) continue
    const own = lanes.of(index)
    const lane = (own[0] ?? Infinity) <= now && !view.fits(task, node) ? laterThan(now, own) : 0
    const endsAt = Math.max(own[lane] ?? Infinity, now) + runMs
    if (endsAt >= bestAt) continue
    best = index
    bestLane = lane
    bestAt = endsAt
  }
  const node = nodes[best]
  if (node === undefined) return undefined
  const opens = (lanes.of(best)[bestLane] ?? Infinity) <= now
  return { node, index: best, lane: bestLane, opens, endsAt: bestAt }
}

/** Index of the first slot that is free later than now; beyond the last for none. */
function laterThan(now: number, lanes: readonly number[]): number {
  let lane = 0
  while (lane < lanes.length && (lanes[lane] ?? 0) <= now) lane++
  return lane
}
